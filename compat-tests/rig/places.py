"""Where things lie. Everything the tests make is under target/compat of the package."""
import os
import pathlib
import shutil

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", PACKAGE / "target")).resolve()
COMPAT = TARGET / "compat"
RUN = pathlib.Path(os.environ.get("OTTLA_COMPAT_RUN_DIR", COMPAT / "run"))
OTTLA = pathlib.Path(os.environ.get("OTTLA_BIN", TARGET / "release" / "ottla"))

JAVA_CLASSPATH = COMPAT / "java.classpath"
JAVA_CLASSES = COMPAT / "java-classes"
GO_CLIENT = COMPAT / "go-client"
NODE_MODULES = COMPAT / "node" / "node_modules"


def java():
    home = os.environ.get("JAVA_HOME")
    return f"{home}/bin/java" if home and os.access(f"{home}/bin/java", os.X_OK) else shutil.which("java")


def java_program(main, heap, *options):
    """The words that start a program of ours, java/`main`.java, with Kafka's classes."""
    return [java(), heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *options,
            "-cp", f"{JAVA_CLASSES}{os.pathsep}{java_classpath()}", main]


def java_classpath():
    return JAVA_CLASSPATH.read_text().strip() if JAVA_CLASSPATH.exists() else None


def missing(what):
    """Why tests of `what` cannot run here, or None."""
    if what == "java" and not (java() and java_classpath() and JAVA_CLASSES.exists()):
        return "no JDK or no Maven: the Java tools are not installed"
    if what == "kcat" and not shutil.which("kcat"):
        return "kcat is not installed (apt-get install kcat)"
    if what == "go" and not GO_CLIENT.exists():
        return "no Go: the Go client is not built"
    if what in ("network", "disks"):
        if os.geteuid() != 0:
            return "only root makes namespaces and mounts file systems"
        programs = {"network": ("ip", "nsenter"), "disks": ("mkfs.ext4", "mount", "umount")}[what]
        lacking = [p for p in programs if not shutil.which(p)] + [p for p in {"network": ["/dev/net/tun"], "disks": ["/dev/loop-control"]}[what] if not os.path.exists(p)]
        return f"{', '.join(lacking)} missing (apt-get install iproute2 util-linux mount e2fsprogs)" if lacking else None
    if what == "node" and not (shutil.which("node") and NODE_MODULES.exists()):
        return "no Node: kafkajs is not installed"
    return None
