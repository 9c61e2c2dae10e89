//! What it costs to validate, walk and decompress batches, per record.
//!
//! The budget for a plain batch is 10 ns per record: at 9 million records of 110 bytes per GB, checking must stay far
//! below what the disk and the network cost.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ottla::storage::validate::{AppendOrigin, TimestampType, ValidateConfig, check_stored, validate};
use ottla::types::Rng;
use ottla::wire::batch::Batch;
use ottla::wire::compress::{Codec, Compression};
use ottla::wire::records::{BatchBuilder, Records};

const NOW: i64 = 1_700_000_000_000;

/// A batch of some 64 KiB uncompressed: records of 100 bytes that compress to about a half.
fn batch(codec: Codec) -> (Vec<u8>, u64) {
    let mut rng = Rng::new(1);
    let mut builder = BatchBuilder::new(0).compression(Compression::new(codec)).producer(1, 0, 0);
    while builder.bytes() < 64 * 1024 - 110 {
        let mut value = [b'x'; 100];
        for byte in &mut value[..50] {
            *byte = b'a' + rng.below(26) as u8;
        }
        builder.append(NOW + i64::from(builder.count()), None, Some(&value));
    }
    let count = builder.count() as u64;
    (builder.finish(), count)
}

fn benches(c: &mut Criterion) {
    let plain = ValidateConfig::default();
    let append_time =
        ValidateConfig { timestamp_type: TimestampType::LogAppendTime, ..ValidateConfig::default() };
    let mut group = c.benchmark_group("records");
    for codec in Codec::ALL {
        let (batch, count) = batch(codec);
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("validate/{}", codec.name()), |b| {
            b.iter(|| validate(&batch, &plain, AppendOrigin::Client, NOW).map(|plan| plan.bytes));
        });
    }
    let (batch, count) = batch(Codec::None);
    group.throughput(Throughput::Elements(count));
    group.bench_function("validate/append-time", |b| {
        b.iter(|| validate(&batch, &append_time, AppendOrigin::Client, NOW).map(|plan| plan.bytes));
    });
    group.bench_function("checksum", |b| b.iter(|| check_stored(&batch, 0).map(|batch| batch.bytes().len())));
    group.bench_function("walk", |b| {
        b.iter(|| {
            let batch = Batch::first_of(&batch).ok()?;
            Some(
                Records::of(&batch)?
                    .filter_map(Result::ok)
                    .map(|r| r.value.map_or(0, <[u8]>::len))
                    .sum::<usize>(),
            )
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
