//! An arena, kernels launched on it without a driver around, and the clock they are timed by.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use softgpu_cuda::exec::{Extras, Launch, Memory, Program, run};
use softgpu_cuda::ptx;

/// A device whose whole memory is one array of words.
pub(crate) struct Device {
    arena: Box<[AtomicU32]>,
    used: usize,
    program: Program,
    never: AtomicBool,
}

/// An array of words in the arena: first word and number of them.
#[derive(Clone, Copy)]
pub(crate) struct Array {
    at: usize,
    len: usize,
}

impl Device {
    /// With room for `len` words, and the kernels of `text`.
    pub(crate) fn new(len: usize, text: &str) -> Self {
        let module = ptx::parse(text).expect("the bench's own text");
        Self {
            arena: arena(len),
            used: 0,
            program: Program::link(&module).expect("the bench's own text"),
            never: AtomicBool::new(false),
        }
    }

    /// Zeroed words.
    pub(crate) fn array(&mut self, len: usize) -> Array {
        let at = self.used;
        self.used = (at + len).next_multiple_of(64);
        assert!(self.used <= self.arena.len(), "the arena is too small");
        Array { at, len }
    }

    pub(crate) fn words(&self, array: Array) -> &[AtomicU32] {
        &self.arena[array.at..][..array.len]
    }

    pub(crate) fn write(&self, array: Array, values: &[f32]) {
        for (word, value) in self.words(array).iter().zip(values) {
            word.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, array: Array) -> Vec<f32> {
        let words = self.words(array).iter();
        words
            .map(|word| f32::from_bits(word.load(Ordering::Relaxed)))
            .collect()
    }

    /// Address of an array, as kernels are given it.
    pub(crate) fn address(&self, array: Array) -> u64 {
        self.arena[array.at..].as_ptr() as u64
    }

    /// Runs a kernel to its end on so many threads.
    pub(crate) fn launch(&self, name: &str, workers: usize, shape: &Shape) {
        let kernel = self.program.kernel(name).expect("a kernel of the bench");
        let kernel = kernel.expect("the interpreter knows what the kernel uses");
        let base = self.arena.as_ptr().cast_mut().cast::<u8>();
        // SAFETY: the arena lives as long as `self`, which the launch borrows, and whoever else
        // touches it does so by atomic accesses.
        let memory = unsafe { Memory::new(base, size_of_val(&*self.arena)) };
        let result = run(&Launch {
            kernel: &kernel,
            grid: shape.grid,
            block: shape.block,
            dynamic_shared_bytes: shape.shared_bytes,
            parameters: &shape.parameters,
            memory,
            globals: &|_| None,
            workers,
            cancel: &self.never,
            print: &|_| (),
            cooperative_workspace: None,
            extras: Extras::default(),
        });
        result.expect("the kernel runs");
    }
}

/// Zeroed words on large pages where there are any, as the driver's arena has them.
fn arena(len: usize) -> Box<[AtomicU32]> {
    let mut words: Vec<AtomicU32> = Vec::with_capacity(len);
    // SAFETY: the advice is about memory of the vector, and changes nothing that it holds; of what
    // is not whole pages the system says no.
    unsafe {
        let start = words.as_mut_ptr().map_addr(|at| at.next_multiple_of(4096));
        libc::madvise(start.cast(), 4 * len - 4096, libc::MADV_HUGEPAGE);
    }
    words.extend((0..len).map(|_| AtomicU32::new(0)));
    words.into_boxed_slice()
}

/// How a kernel is launched.
pub(crate) struct Shape {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared_bytes: u32,
    pub(crate) parameters: Vec<u8>,
}

/// Processor time of this thread: what others do on a shared machine is not counted.
pub(crate) fn processor_time() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes one timespec.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    assert_eq!(result, 0, "every Linux has this clock");
    let part = |value: i64| u64::try_from(value).expect("time begins at 0");
    Duration::from_secs(part(now.tv_sec)) + Duration::from_nanos(part(now.tv_nsec))
}
