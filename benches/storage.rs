//! What an append costs beside its system call. Prints nanoseconds; run with `cargo bench --bench storage`.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;

use ottla::env::Env;
use ottla::env::disk::OpenMode;
use ottla::storage::validate::{AppendOrigin, validate};
use ottla::storage::{AppendBy, LogConfig, Manager, ManagerConfig};
use ottla::types::{TopicId, TopicPartition};
use ottla::wire::records::BatchBuilder;

fn main() {
    let temporary = tempfile::tempdir().expect("a directory to write in");
    let disk = Env::os().disk;
    let manager = Manager::open(disk.clone(), &[temporary.path().join("data")], ManagerConfig::default(), 0)
        .expect("an empty directory");
    let config = Arc::new(LogConfig::default());
    let log = manager.log(&TopicPartition::new("bench", 0), TopicId::METADATA, config.clone(), None);
    let mut log = log.expect("a new log");
    for bytes in [200usize, 64 << 10] {
        let mut builder = BatchBuilder::new(0);
        while builder.bytes() + 110 < bytes || builder.count() == 0 {
            builder.append(1_700_000_000_000, None, Some(&[b'v'; 100]));
        }
        let input = builder.finish();
        let count = ((256 << 20) / input.len()).min(200_000) as u32;
        let mut plan = validate(&input, &config.validate, AppendOrigin::Client, 1_700_000_000_000)
            .expect("a valid batch");

        let file = disk.open(&temporary.path().join("plain"), OpenMode::Create).expect("a file");
        let begin = tokio::time::Instant::now();
        for i in 0..u64::from(count) {
            file.write_at(i * input.len() as u64, &[IoSlice::new(&input)]).expect("room");
        }
        let plain = begin.elapsed() / count;

        let begin = tokio::time::Instant::now();
        for _ in 0..count {
            let info = log.append_as_leader(&input, &mut plan, AppendBy::client(0), 1_700_000_000_000);
            black_box(info.expect("an append"));
        }
        let append = begin.elapsed() / count;

        let begin = tokio::time::Instant::now();
        for _ in 0..count {
            let tail = log.log_end_offset() - 1;
            black_box(log.read(tail, 1 << 20, tail + 1, true).expect("a read"));
        }
        let read = begin.elapsed() / count;
        println!(
            "{} bytes: plain write {plain:?}, append {append:?}, read at the tail {read:?}",
            input.len()
        );
    }
}
