//! The plugin's memory. An instance lives for one attempt, and all of its memory goes with it at once; so what is asked for
//! is cut from one piece, one after the other, and little of it is ever given back.
//!
//! The piece is a part of the memory that an instance begins with. Memory that a guest asks for later costs the gateway two
//! changes of its page tables for each attempt, which is more than the rest of such an attempt. What does not fit into the
//! piece comes from the allocator of Rust's standard library.

#![allow(unsafe_code, reason = "this is what an allocator is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// The piece's size in bytes: format and judge of a record of a few KiB take a quarter of it.
const ROOM: usize = 256 << 10;

#[global_allocator]
static MEMORY: Memory = Memory { piece: UnsafeCell::new([0; ROOM]), used: Cell::new(0) };

struct Memory {
    piece: UnsafeCell<[u8; ROOM]>,
    /// Bytes from the beginning of the piece.
    used: Cell<usize>,
}

// SAFETY: a guest has one thread.
unsafe impl Sync for Memory {}

impl Memory {
    fn beginning(&self) -> *mut u8 {
        self.piece.get().cast()
    }

    /// How far into the piece that is; nothing if it comes from elsewhere.
    fn place_of(&self, pointer: *mut u8) -> Option<usize> {
        pointer.addr().checked_sub(self.beginning().addr()).filter(|place| *place < ROOM)
    }
}

// SAFETY: what is handed out is aligned and within the piece, and overlaps nothing that is out: `used` only goes back over
// what was handed out last and has been given back.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let beginning = self.beginning().addr();
        let from = (beginning + self.used.get()).next_multiple_of(layout.align()) - beginning;
        match from.checked_add(layout.size()) {
            Some(to) if to <= ROOM => {
                self.used.set(to);
                // SAFETY: within the piece.
                unsafe { self.beginning().add(from) }
            }
            // SAFETY: as the caller has promised.
            Some(_) | None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.place_of(pointer) {
            Some(place) if place + layout.size() == self.used.get() => self.used.set(place),
            Some(_) => {}
            // SAFETY: it is not the piece's, so it is the other one's.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(place) = self.place_of(pointer) else {
            // SAFETY: it is not the piece's, so it is the other one's.
            return unsafe { System.realloc(pointer, layout, size) };
        };
        let is_last = place + layout.size() == self.used.get();
        if is_last && size <= ROOM - place {
            self.used.set(place + size);
            return pointer;
        }
        // SAFETY: the size is not zero, as the caller has promised; the two do not overlap.
        unsafe {
            let other = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !other.is_null() {
                std::ptr::copy_nonoverlapping(pointer, other, layout.size().min(size));
            }
            other
        }
    }
}
