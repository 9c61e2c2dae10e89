use proptest::prelude::*;

use super::*;
use crate::env::Env;

fn parsed(text: &str) -> Vec<(String, String)> {
    parse(text.as_bytes()).expect("valid").into_iter().collect()
}

fn one(text: &str) -> (String, String) {
    let mut all = parsed(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn lines_are_read_as_java_reads_them() {
    for text in [
        "a=b",
        "a = b",
        "a:b",
        "a b",
        "  a\t:\tb",
        "a=\\\n   b",
        "\\a=b",
        "a=x\na=b",
        "#c\n!d\n\na=b",
        "a\\\n=b",
    ] {
        assert_eq!(one(text), pair("a", "b"), "{text:?}");
    }
    assert_eq!(one("a"), pair("a", ""));
    assert_eq!(one("a=b \\"), pair("a", "b "));
    assert_eq!(one("a = b = c "), pair("a", "b = c "));
    assert_eq!(one("a\\=b\\ c=d"), pair("a=b c", "d"));
    assert_eq!(one("p=C:\\\\dir\\tx"), pair("p", "C:\\dir\tx"));
    assert_eq!(parsed("a=b\\\\\nc=d").len(), 2, "two backslashes do not go on");
}

#[test]
fn escapes_make_characters() {
    assert_eq!(one("a=\\u00e9\\ud83d\\ude00"), pair("a", "é😀"));
    assert!(parse(b"a=1\nb=\\u00g0").expect_err("no hex").to_string().contains("line 2"));
    assert_eq!(parse(b"a=\xe9").expect("Latin-1")["a"], "é");
    assert_eq!(parse("a=é".as_bytes()).expect("UTF-8")["a"], "é");
    assert_eq!(parsed("a=1\r\nb=2\rc=3").len(), 3);
}

#[test]
fn kafkas_own_meta_properties_is_read() {
    let meta = include_bytes!("../../tests/fixtures/storage-tool/static.meta.properties");
    let props = parse(meta).expect("Kafka's file");
    assert_eq!(props["cluster.id"], "AAAAAAAAQACAAAAAAAAAAQ");
    assert_eq!(props["version"], "1");
    assert_eq!(props.len(), 4);
    let text = String::from_utf8(meta.to_vec()).expect("ASCII");
    let date = text.lines().nth(1).expect("a date")[1..].to_owned();
    assert_eq!(write(&props, "", &date), text);
}

#[test]
fn values_may_stand_elsewhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let env = Env::os();
    let path = dir.path().join("secrets");
    crate::env::disk::replace_file(&*env.disk, &path, b"pass=word").expect("written");
    let environment = BTreeMap::from([("HOME_PORT".to_owned(), "9".to_owned())]);
    let text = format!(
        "config.providers=env,file,dir
config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider
config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider
config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider
a=x${{env:HOME_PORT}}y${{file:{0}:pass}}
b=${{dir:{1}:secrets}}
c=${{nope:x:y}} ${{env:NOPE}} ${{open
d=${{dir:{1}:../x}}",
        path.display(),
        dir.path().display()
    );
    let mut props = parse(text.as_bytes()).expect("valid");
    let outside = Outside { disk: &*env.disk, environment: &environment };
    resolve(&mut props, &outside).expect("resolved");
    assert_eq!(props["a"], "x9yword");
    assert_eq!(props["b"], "pass=word");
    assert_eq!(props["c"], "${nope:x:y} ${env:NOPE} ${open");
    assert!(props["d"].starts_with("${dir:"));

    let mut props = parse(b"config.providers=x\nconfig.providers.x.class=com.Foo").expect("valid");
    assert!(resolve(&mut props, &outside).expect_err("unknown").to_string().contains("EnvVarConfigProvider"));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(pairs in prop::collection::btree_map("[^\u{0}]{1,8}", ".{0,12}", 0..8)) {
        let text = write(&pairs, "", "a date");
        prop_assert!(text.is_ascii());
        prop_assert_eq!(parse(text.as_bytes()).expect("our own"), pairs);
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }
}
