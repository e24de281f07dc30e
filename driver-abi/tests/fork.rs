//! What is left of the tables in the child of a fork. Alone in its program: there is no way back.
#![expect(unsafe_code, reason = "the slots are C functions behind bare pointers")]

use std::ffi::c_void;
use std::mem::transmute;

use flexdirect_driver_abi::tables::{
    DeviceIdentity, Host, context_destroyed, export_table, forked_child,
};

struct Driver;

impl Host for Driver {
    fn primary_context(&self, _device: i32) -> Result<u64, u32> {
        Err(3)
    }
    fn current_context(&self) -> u64 {
        0x10
    }
    unsafe fn load_fatbin(&self, _image: *const c_void) -> Result<u64, u32> {
        Err(3)
    }
    fn driver_version(&self) -> u32 {
        13000
    }
    fn devices(&self) -> Vec<DeviceIdentity> {
        Vec::new()
    }
    fn log(&self, _line: &str) {}
}

type Put = unsafe extern "C" fn(u64, usize, usize, Option<extern "C" fn(u64, usize, usize)>) -> u32;
type Delete = unsafe extern "C" fn(u64, usize) -> u32;
type Find = unsafe extern "C" fn(*mut usize, u64, usize) -> u32;

extern "C" fn never(_context: u64, _key: usize, _value: usize) {
    panic!("the parent's values are the parent's to destroy");
}

#[test]
fn the_storage_of_a_forked_child_is_empty() {
    let uuid = 0xc693336e_1121df11_a8c368f3_55d89593_u128.to_be_bytes();
    let table: *const usize = export_table(&uuid, &Driver).expect("served").cast();
    let mut value = 0;
    // SAFETY: the slots hold functions of these types, and the output is ours.
    unsafe {
        let put = transmute::<usize, Put>(table.read());
        let delete = transmute::<usize, Delete>(table.add(1).read());
        let find = transmute::<usize, Find>(table.add(2).read());
        assert_eq!(put(0, 1, 11, Some(never)), 0);
        assert_eq!((find(&mut value, 0, 1), value), (0, 11));
        forked_child();
        assert_eq!(
            find(&mut value, 0, 1),
            400,
            "not even from the thread's memory"
        );
        assert_eq!(put(0, 1, 12, None), 3);
        assert_eq!(delete(0, 1), 400);
    }
    context_destroyed(0x10);
}
