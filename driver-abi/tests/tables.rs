//! The export tables, called as a runtime calls them.
#![expect(unsafe_code, reason = "the slots are C functions behind bare pointers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::transmute;
use std::sync::Mutex;

use flexdirect_driver_abi::integrity::{self, Question};
use flexdirect_driver_abi::tables::{DeviceIdentity, Host, context_destroyed, export_table};

struct Driver {
    lines: Mutex<Vec<String>>,
}

static DRIVER: Driver = Driver {
    lines: Mutex::new(Vec::new()),
};

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

const DEVICES: [DeviceIdentity; 2] = [
    DeviceIdentity {
        uuid: [7; 16],
        domain: 0,
        bus: 1,
        device: 2,
    },
    DeviceIdentity {
        uuid: [8; 16],
        domain: 1,
        bus: 0x41,
        device: 0,
    },
];

impl Host for Driver {
    fn primary_context(&self, device: i32) -> Result<u64, u32> {
        u64::try_from(device)
            .ok()
            .filter(|&at| at < 2)
            .map(|at| 0x5a00 + at)
            .ok_or(101)
    }
    fn current_context(&self) -> u64 {
        CURRENT.get()
    }
    unsafe fn load_fatbin(&self, image: *const c_void) -> Result<u64, u32> {
        Ok(image.addr() as u64 + 1)
    }
    fn driver_version(&self) -> u32 {
        13050
    }
    fn devices(&self) -> Vec<DeviceIdentity> {
        DEVICES.to_vec()
    }
    fn log(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
}

/// Lines logged so far that hold `part`.
fn logged(part: &str) -> usize {
    DRIVER
        .lines
        .lock()
        .unwrap()
        .iter()
        .filter(|line| line.contains(part))
        .count()
}

const CUDART: u128 = 0x6bd5fb6c_5bf4e74a_8987d939_12fd9df9;
const HOOKS: u128 = 0xa094798c_2e742e74_93f20800_200c0a66;
const TLS: u128 = 0x42d85a81_23f6cb47_8298f6e7_8a3aecdc;
const CLS: u128 = 0xc693336e_1121df11_a8c368f3_55d89593;
const CTXCHECK: u128 = 0x263e8860_7cd26143_92f6bbd5_006dfa7e;
const INTEGRITY: u128 = 0xd4082055_bde6704b_8d34ba12_3c66e1f2;
const CTX_EXTRA: u128 = 0x21318c60_97143248_8ca641ff_7324c8f2;

fn table(uuid: u128) -> *const usize {
    export_table(&uuid.to_be_bytes(), &DRIVER)
        .expect("a table that is served")
        .cast()
}

fn slot(uuid: u128, index: usize) -> usize {
    // SAFETY: the tests read slots that the table has.
    unsafe { table(uuid).add(index).read() }
}

/// A slot as a function of the type wanted.
macro_rules! function {
    ($uuid:expr, $slot:expr, $type:ty) => {{
        let address = slot($uuid, $slot);
        #[allow(unused_unsafe, reason = "some callers are in an unsafe block already")]
        // SAFETY: the slot holds a C function of this type.
        let function = unsafe { transmute::<usize, $type>(address) };
        function
    }};
}

#[test]
fn tables_say_their_size_and_have_no_null_slot() {
    let sizes = [
        (CUDART, 13),
        (HOOKS, 7),
        (TLS, 4),
        (CTXCHECK, 4),
        (INTEGRITY, 3),
        (CTX_EXTRA, 95),
    ];
    for (uuid, count) in sizes {
        assert_eq!(slot(uuid, 0), count * size_of::<usize>());
        assert!(
            (0..count).all(|index| slot(uuid, index) != 0),
            "{uuid:032x}"
        );
        assert_eq!(table(uuid), table(uuid), "a fixed address");
    }
    assert!((0..3).all(|index| slot(CLS, index) != 0));
    assert_eq!(slot(CLS, 3), 0);
}

#[test]
fn other_tables_are_refused_and_named() {
    let unknown = 0x00112233_44556677_8899aabb_ccddeeff_u128;
    assert_eq!(export_table(&unknown.to_be_bytes(), &DRIVER), None);
    assert_eq!(logged("00112233445566778899aabbccddeeff"), 1);
    // Probes that every runtime makes are not worth a line.
    for probe in [
        0xf8cff951_21468b4e_b9e2fb46_9e7c0dd9_u128,
        0xda9151d3_3ae6cc41_a5c04f26_d533e328,
    ] {
        assert_eq!(export_table(&probe.to_be_bytes(), &DRIVER), None);
    }
    let module_extra = 0x6e163fbe_b958444d_835ce182_aff1991e_u128;
    for _ in 0..2 {
        assert_eq!(export_table(&module_extra.to_be_bytes(), &DRIVER), None);
    }
    assert_eq!((logged("probe"), logged("cuFFT")), (0, 1));
}

#[test]
fn an_unknown_slot_answers_0_and_is_named_once() {
    for _ in 0..3 {
        assert_eq!(function!(CTX_EXTRA, 94, extern "C" fn() -> usize)(), 0);
        assert_eq!(function!(CUDART, 3, extern "C" fn(usize) -> u32)(9), 0);
    }
    assert_eq!(logged("ctx-extra: unknown slot 94 "), 1);
    assert_eq!(logged("cudart: unknown slot 3 "), 1);
    assert_eq!(logged("unknown slot 4 "), 0);
}

#[test]
fn primary_contexts_and_modules() {
    let primary = function!(CUDART, 2, unsafe extern "C" fn(*mut u64, i32) -> u32);
    let mut context = 1;
    // SAFETY: the outputs are ours.
    unsafe {
        assert_eq!((primary(&mut context, 1), context), (0, 0x5a01));
        assert_eq!((primary(&mut context, 2), context), (101, 0x5a01));
        assert_eq!(primary(std::ptr::null_mut(), 0), 1);
    }
    let load = function!(CUDART, 1, unsafe extern "C" fn(*mut u64, usize) -> u32);
    type LoadMore = unsafe extern "C" fn(*mut u64, usize, usize, usize, u32) -> u32;
    let load_more = function!(CUDART, 6, LoadMore);
    type LoadContainer = unsafe extern "C" fn(usize, *mut u64, usize, usize, u32) -> u32;
    let load_container = function!(CUDART, 8, LoadContainer);
    let mut module = 0;
    // SAFETY: the driver of this test does not look through the image's pointer.
    unsafe {
        assert_eq!((load(&mut module, 0x1000), module), (0, 0x1001));
        assert_eq!(
            (load_more(&mut module, 0x2000, 0, 0, 0), module),
            (0, 0x2001)
        );
        assert_eq!(
            (load_container(0x3000, &mut module, 0, 0, 0), module),
            (0, 0x3001)
        );
        assert_eq!((load(&mut module, 0), module), (1, 0x3001));
    }
    assert_eq!(function!(CUDART, 12, extern "C" fn() -> u32)(), 0);
    function!(CUDART, 7, extern "C" fn(usize))(1);
}

#[test]
fn hooks_are_zeroed_words_that_can_be_written() {
    for (index, count) in [(2, 1024), (6, 14)] {
        let hook = function!(
            HOOKS,
            index,
            unsafe extern "C" fn(*mut *mut u32, *mut usize)
        );
        let (mut words, mut found) = (std::ptr::null_mut(), 0);
        // SAFETY: the outputs are ours, and the hook's words stay for ever.
        unsafe {
            hook(&mut words, &mut found);
            assert_eq!(found, count);
            assert!((0..count).all(|at| words.add(at).read() == 0));
            words.add(count - 1).write(1);
            words.add(count - 1).write(0);
            hook(std::ptr::null_mut(), &mut found);
        }
    }
}

type Destructor = extern "C" fn(u64, usize, usize);
type Put = unsafe extern "C" fn(u64, usize, usize, Option<Destructor>) -> u32;
type Delete = unsafe extern "C" fn(u64, usize) -> u32;
type Find = unsafe extern "C" fn(*mut usize, u64, usize) -> u32;

fn find(context: u64, key: usize) -> Result<usize, u32> {
    let find = function!(CLS, 2, Find);
    let mut value = usize::MAX;
    // SAFETY: the output is ours.
    match unsafe { find(&mut value, context, key) } {
        0 => Ok(value),
        code => {
            assert_eq!(value, usize::MAX, "nothing is written on failure");
            Err(code)
        }
    }
}

#[test]
fn values_are_kept_by_context_and_key() {
    let (put, delete) = (function!(CLS, 0, Put), function!(CLS, 1, Delete));
    assert_eq!(find(0, 5), Err(400), "no current context");
    // SAFETY: there are no destructors.
    unsafe {
        assert_eq!(put(0, 5, 50, None), 201);
        assert_eq!(delete(0, 5), 400);
        CURRENT.set(0x77);
        assert_eq!(find(0, 5), Err(400));
        assert_eq!(put(0, 5, 50, None), 0);
        assert_eq!((find(0, 5), find(0x77, 5)), (Ok(50), Ok(50)));
        assert_eq!((find(0, 6), find(0x78, 5)), (Err(400), Err(400)));
        assert_eq!(put(0x77, 5, 51, None), 0);
        assert_eq!(find(0, 5), Ok(51));
        assert_eq!(put(0x78, 5, 52, None), 0);
        assert_eq!((find(0x77, 5), find(0x78, 5)), (Ok(51), Ok(52)));
        assert_eq!(delete(0, 5), 0);
        assert_eq!(delete(0, 5), 400);
        assert_eq!((find(0x77, 5), find(0x78, 5)), (Err(400), Ok(52)));
        CURRENT.set(0x78);
        assert_eq!(find(0, 5), Ok(52));
        CURRENT.set(0);
        assert_eq!(find(0, 5), Err(400));
    }
}

/// A thread's memory of a value must not outlive the value.
#[test]
fn a_change_is_seen_by_other_threads() {
    let (put, delete) = (function!(CLS, 0, Put), function!(CLS, 1, Delete));
    // SAFETY: there are no destructors.
    unsafe {
        for round in 0..100 {
            assert_eq!(put(0x99, 1, round, None), 0);
            assert_eq!(find(0x99, 1), Ok(round));
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    assert_eq!(find(0x99, 1), Ok(round));
                    assert_eq!(delete(0x99, 1), 0);
                });
            });
            assert_eq!(find(0x99, 1), Err(400));
        }
    }
}

static DESTROYED: Mutex<Vec<(u64, usize, usize)>> = Mutex::new(Vec::new());

extern "C" fn destroy(context: u64, key: usize, value: usize) {
    // A destructor may ask the storage, in which the value is no more.
    assert_eq!(find(context, key), Err(400));
    DESTROYED.lock().unwrap().push((context, key, value));
}

#[test]
fn a_destroyed_context_runs_its_destructors_once() {
    let put = function!(CLS, 0, Put);
    // SAFETY: `destroy` takes any value.
    unsafe {
        assert_eq!(put(0xd0, 1, 10, Some(destroy)), 0);
        assert_eq!(put(0xd0, 2, 20, None), 0);
        assert_eq!(put(0xd0, usize::MAX, 30, Some(destroy)), 0);
        assert_eq!(put(0xd1, 1, 40, Some(destroy)), 0);
    }
    assert_eq!(find(0xd0, 1), Ok(10));
    context_destroyed(0xd0);
    context_destroyed(0xd0);
    assert_eq!(
        *DESTROYED.lock().unwrap(),
        [(0xd0, 1, 10), (0xd0, usize::MAX, 30)]
    );
    assert_eq!((find(0xd0, 2), find(0xd1, 1)), (Err(400), Ok(40)));
}

#[test]
fn context_checks_and_numbers() {
    type Check = unsafe extern "C" fn(u64, *mut u32, *mut usize) -> u32;
    let (mut state, mut detail, mut number) = (9, 9, 9);
    // SAFETY: the outputs are ours.
    unsafe {
        let check = function!(CTXCHECK, 2, Check);
        assert_eq!(
            (check(1, &mut state, &mut detail), state, detail),
            (0, 0, 0)
        );
        assert_eq!(check(1, std::ptr::null_mut(), std::ptr::null_mut()), 0);
        let number_of = function!(CTX_EXTRA, 4, unsafe extern "C" fn(u64, *mut u64) -> u32);
        assert_eq!((number_of(0, &mut number), number), (0, 0));
        assert_eq!(number_of(0x5a00, &mut number), 0);
        assert_ne!(number, 0);
    }
    assert_eq!(function!(CTXCHECK, 3, extern "C" fn() -> u32)(), 0);
    assert_eq!(
        function!(TLS, 2, extern "C" fn(usize, usize) -> u32)(0, 0),
        0
    );
    assert_eq!(logged("tls: unknown slot 2 "), 0);
}

#[test]
fn the_integrity_answer_is_of_this_process_and_thread() {
    type Answer = unsafe extern "C" fn(u32, u64, *mut [u8; 16]) -> u32;
    let ask = |version| {
        let slot = function!(INTEGRITY, 1, Answer);
        let mut answer = [0; 16];
        // SAFETY: the output is ours.
        assert_eq!(unsafe { slot(version, 1_700_000_000, &mut answer) }, 0);
        answer
    };
    let question = |version, thread: usize| Question {
        driver_version: 13050,
        version,
        pid: std::process::id(),
        thread: u32::try_from(thread & 0xffff_ffff).unwrap(),
        cudart_table: table(CUDART).addr() as u64,
        integrity_table: table(INTEGRITY).addr() as u64,
        function: slot(INTEGRITY, 1) as u64,
        time_s: 1_700_000_000,
        devices: DEVICES.to_vec(),
    };
    let check = move || {
        // SAFETY: has no precondition.
        let thread = usize::try_from(unsafe { libc::pthread_self() }).unwrap();
        for version in [13050, 13051, 13052] {
            assert_eq!(ask(version), integrity::answer(&question(version, thread)));
        }
        ask(13052)
    };
    let there = std::thread::spawn(check).join().unwrap();
    assert_ne!(check(), there);
}
