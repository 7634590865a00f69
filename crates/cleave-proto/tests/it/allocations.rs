//! Counts what the current thread allocates, so that a test can say "no more than the input's size times so much".

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// Bytes that the calling thread requested while `work` ran, freed ones included.
pub(crate) fn allocated_bytes(work: impl FnOnce()) -> usize {
    let before = ALLOCATED.get();
    work();
    ALLOCATED.get().wrapping_sub(before)
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator cannot be written without; it hands everything to the system's")]
// SAFETY: every call goes to `System` unchanged; the counter is a plain thread-local that never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _gone_at_thread_exit =
            ALLOCATED.try_with(|count| count.set(count.get().wrapping_add(layout.size())));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn allocations_are_counted() {
    assert!(allocated_bytes(|| drop(std::hint::black_box(vec![0_u8; 5000]))) >= 5000);
    assert_eq!(allocated_bytes(|| ()), 0);
}
