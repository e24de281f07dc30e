//! A device for tests of the interpreter: an arena, a module loaded into it, launches.
#![allow(
    dead_code,
    unsafe_code,
    reason = "shared by several test binaries; owns raw memory"
)]
#![allow(clippy::unwrap_used, unreachable_pub, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    missing_debug_implementations,
    reason = "test code"
)]

pub mod convert;
pub mod images;
pub mod integer;
pub mod lanes;
pub mod table;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use softgpu_cuda::exec::{Extras, Fault, Images, Launch, Memory, Program, run};
use softgpu_cuda::ptx;

/// An arena with a bump allocator, and one program.
pub struct Gpu {
    pub program: Program,
    pub workers: usize,
    pub printed: Mutex<Vec<u8>>,
    pub cancel: AtomicBool,
    pub cooperative: bool,
    pub images: Option<Box<dyn Images + Sync>>,
    globals: HashMap<String, u64>,
    base: *mut u8,
    layout: std::alloc::Layout,
    next: Cell<usize>,
}

/// A kernel argument.
#[derive(Clone, Copy)]
pub enum Arg {
    Address(u64),
    Long(u64),
    Int(i32),
    Single(f32),
}

impl Gpu {
    /// A device with `text` loaded and an arena of 16 MiB.
    pub fn new(text: &str) -> Self {
        Self::with_arena(text, 16 << 20)
    }

    pub fn with_arena(text: &str, size: usize) -> Self {
        let program = Program::link(&ptx::parse(text).unwrap()).unwrap();
        let layout = std::alloc::Layout::from_size_align(size, 4096).unwrap();
        // SAFETY: the size is not zero.
        let base = unsafe { std::alloc::alloc_zeroed(layout) };
        let mut gpu = Self {
            program,
            workers: 1,
            printed: Mutex::default(),
            cancel: AtomicBool::new(false),
            cooperative: false,
            images: None,
            globals: HashMap::new(),
            base,
            layout,
            next: Cell::new(4096),
        };
        for global in gpu.program.globals() {
            let address = gpu.allocate(global.size as usize + 16);
            gpu.write(address, &global.initial);
            gpu.globals.insert(global.name.clone(), address);
        }
        for global in gpu.program.globals() {
            for one in &global.relocations {
                let value = gpu.globals[&one.symbol].wrapping_add_signed(one.addend);
                let at = gpu.globals[&global.name] + one.offset;
                gpu.write(at, &value.to_le_bytes()[..usize::from(one.size)]);
            }
        }
        gpu
    }

    pub fn global(&self, name: &str) -> u64 {
        self.globals[name]
    }

    /// Zeroed memory.
    pub fn allocate(&self, bytes: usize) -> u64 {
        let at = self.next.get();
        assert!(
            at + bytes <= self.layout.size(),
            "the test's arena is too small"
        );
        self.next.set((at + bytes).next_multiple_of(256));
        self.base as u64 + at as u64
    }

    /// First address after the arena.
    pub fn end(&self) -> u64 {
        self.base as u64 + self.layout.size() as u64
    }

    pub fn write(&self, address: u64, bytes: &[u8]) {
        let at = (address - self.base as u64) as usize;
        assert!(at + bytes.len() <= self.layout.size());
        // SAFETY: within the arena, and no launch runs while the test writes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(at), bytes.len()) };
    }

    pub fn read(&self, address: u64, count: usize) -> Vec<u8> {
        let at = (address - self.base as u64) as usize;
        assert!(at + count <= self.layout.size());
        let mut bytes = vec![0; count];
        // SAFETY: within the arena, and no launch runs while the test reads.
        unsafe { std::ptr::copy_nonoverlapping(self.base.add(at), bytes.as_mut_ptr(), count) };
        bytes
    }

    pub fn upload_singles(&self, values: &[f32]) -> u64 {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.upload(&bytes)
    }

    pub fn upload_words(&self, values: &[u32]) -> u64 {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.upload(&bytes)
    }

    pub fn upload_longs(&self, values: &[u64]) -> u64 {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.upload(&bytes)
    }

    pub fn upload(&self, bytes: &[u8]) -> u64 {
        let address = self.allocate(bytes.len().max(1));
        self.write(address, bytes);
        address
    }

    pub fn singles(&self, address: u64, count: usize) -> Vec<f32> {
        self.words(address, count)
            .into_iter()
            .map(f32::from_bits)
            .collect()
    }

    pub fn words(&self, address: u64, count: usize) -> Vec<u32> {
        let bytes = self.read(address, 4 * count);
        bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }

    pub fn longs(&self, address: u64, count: usize) -> Vec<u64> {
        let bytes = self.read(address, 8 * count);
        bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }

    pub fn launch(
        &self,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        dynamic_shared_bytes: u32,
        arguments: &[Arg],
    ) -> Result<(), Fault> {
        let kernel = self
            .program
            .kernel(kernel)
            .expect("no such kernel")
            .unwrap();
        let mut parameters = vec![0u8; kernel.parameter_bytes() as usize];
        assert_eq!(arguments.len(), kernel.parameters().len());
        for (argument, place) in arguments.iter().zip(kernel.parameters()) {
            let bytes = match *argument {
                Arg::Address(value) | Arg::Long(value) => value.to_le_bytes().to_vec(),
                Arg::Int(value) => value.to_le_bytes().to_vec(),
                Arg::Single(value) => value.to_le_bytes().to_vec(),
            };
            assert_eq!(bytes.len(), place.size as usize);
            parameters[place.offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
        // SAFETY: the arena lives as long as `self`, and the test touches it between launches only.
        let memory = unsafe { Memory::new(self.base, self.layout.size()) };
        let workspace = self.cooperative.then(|| self.allocate(4096));
        run(&Launch {
            kernel: &kernel,
            grid,
            block,
            dynamic_shared_bytes,
            parameters: &parameters,
            memory,
            globals: &|name| self.globals.get(name).copied(),
            workers: self.workers,
            cancel: &self.cancel,
            print: &|bytes| self.printed.lock().unwrap().extend_from_slice(bytes),
            cooperative_workspace: workspace,
            extras: Extras {
                images: self.images.as_deref(),
                ..Extras::default()
            },
        })
    }
}

// SAFETY: the arena belongs to the device; tests that use several threads use `cancel` only.
unsafe impl Sync for Gpu {}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: allocated in `with_arena` with this layout.
        unsafe { std::alloc::dealloc(self.base, self.layout) };
    }
}

/// Numbers that look random and are the same every time.
pub fn scattered(count: usize, seed: u64) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u32
        })
        .collect()
}

/// Singles between -1 and 1.
pub fn scattered_singles(count: usize, seed: u64) -> Vec<f32> {
    scattered(count, seed)
        .into_iter()
        .map(|bits| bits as i32 as f32 / 2_147_483_648.0)
        .collect()
}
