//! Validating a batch allocates nothing: plain ones never, compressed ones once a thread is warm.
//!
//! A test binary of its own, because it counts what the allocator is asked for.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // Tests are outside of `Env`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ottla::storage::validate::{AppendOrigin, TimestampType, ValidateConfig, validate};
use ottla::wire::compress::{Codec, Compression};
use ottla::wire::records::BatchBuilder;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator; counting touches a thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn validating_a_batch_allocates_nothing() {
    let now = 1_700_000_000_000;
    let append_time =
        ValidateConfig { timestamp_type: TimestampType::LogAppendTime, ..ValidateConfig::default() };
    for config in [ValidateConfig::default(), append_time] {
        for codec in Codec::ALL {
            let mut builder = BatchBuilder::new(0).compression(Compression::new(codec));
            for i in 0..2000 {
                let headers: &[_] = &[(b"header".as_slice(), Some(b"value".as_slice()))];
                builder.append_with_headers(now + i, Some(b"key"), Some(&[i as u8; 100]), headers);
            }
            let batch = builder.finish();
            let run =
                || assert_eq!(validate(&batch, &config, AppendOrigin::Client, now).unwrap().records, 2000);
            if codec != Codec::None {
                run();
            }
            assert_eq!(allocations(run), 0, "{codec:?}");
        }
    }
}
