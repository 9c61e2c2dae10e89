//! An allocator that remembers what a thread asks for: the largest request and the sum.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static SUM: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // A thread that is going away has no cell any more, and nobody asks for its value.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
    let _ = SUM.try_with(|sum| sum.set(sum.get().saturating_add(size)));
}

// SAFETY: every call goes to the system's allocator with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Bytes of the largest single allocation that this thread asks for while `run` runs.
pub(crate) fn largest<T>(run: impl FnOnce() -> T) -> (usize, T) {
    LARGEST.set(0);
    let result = run();
    (LARGEST.get(), result)
}

/// Bytes of all allocations that this thread asks for while `run` runs, given back or not.
pub(crate) fn sum<T>(run: impl FnOnce() -> T) -> (usize, T) {
    SUM.set(0);
    let result = run();
    (SUM.get(), result)
}
