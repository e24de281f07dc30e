//! Reserved addresses.

use super::*;

fn reserve(len: usize) -> Result<u64, CuError> {
    let address = out(|at| hand::cuMemAddressReserve(at, len, 0, CuDevicePtr(0), 0));
    address.map(|address| address.0)
}

#[test]
fn addresses_of_the_client_are_not_reserved() {
    let fake = Fake::start();
    let mine = vec![0u8; 1 << 20];
    let collides = (mine.as_ptr() as u64).next_multiple_of(1 << 16);
    fake.give(&[collides]);
    // What the client asks for next is free here, and this worker gives it.
    let address = reserve(4 << 20).unwrap();
    assert_ne!(address, collides);
    assert_eq!(
        fake.decoys(),
        [collides],
        "kept, so that it is not given again"
    );
    assert!(fake.process.claims().touches(address + (4 << 20) - 1, 1));
    assert_eq!(
        to_device(address, &[1]),
        Err(CuError::INVALID_VALUE),
        "nothing is mapped"
    );
    fake.give(&vec![collides; CLAIM_TRIES_MAX]);
    assert_eq!(reserve(4 << 20), Err(CuError::OUT_OF_MEMORY), "in the end");
    assert_eq!(fake.count(op::cuMemAddressReserve), 2 + CLAIM_TRIES_MAX);
    assert_eq!(
        fake.count(op::cuMemAddressFree),
        1,
        "the last one is no decoy"
    );
}

/// What the attributes say that there is not, the calls refuse; but memory that may be exported is
/// made, since allocators ask for it without ever exporting.
#[test]
fn handles_for_others_are_masked_and_refused() {
    use flexdirect_wire::abi::CuDeviceAttribute as Attribute;
    for attribute in [
        Attribute::HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
        Attribute::HANDLE_TYPE_FABRIC_SUPPORTED,
        Attribute::MEMPOOL_SUPPORTED_HANDLE_TYPES,
        Attribute::DMA_BUF_SUPPORTED,
    ] {
        assert_eq!(
            crate::mask::value(attribute, Some(1)),
            Some(0),
            "{attribute:?}"
        );
    }
    let supported = Attribute::VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED;
    assert_eq!(crate::mask::value(supported, Some(1)), Some(1));
    let fake = Fake::start();
    let refused = Err(CuError::NOT_SUPPORTED);
    let (null, none) = (ptr::null_mut(), CuMemGenericAllocationHandle(0));
    let descriptor = CuMemAllocationHandleType(1);
    assert_eq!(
        local::cuMemExportToShareableHandle(null, none, descriptor, 0),
        refused
    );
    let imported = out(|at| local::cuMemImportFromShareableHandle(at, null, descriptor));
    assert_eq!(imported.map(|_| ()), refused);
    let range = CuMemRangeHandleType(1);
    let asked = local::cuMemGetHandleForAddressRange(null, CuDevicePtr(1), 1, range, 0);
    assert_eq!(asked, refused);
    let pool = CuMemoryPool(1);
    assert_eq!(
        local::cuMemPoolExportToShareableHandle(null, pool, descriptor, 0),
        refused
    );
    let create = |handle_types| {
        let mut prop = CuMemAllocationProp {
            kind: 1,
            handle_types,
            ..CuMemAllocationProp::default()
        };
        prop.location.kind = 1;
        out(|at| hand::cuMemCreate(at, 2 << 20, &raw const prop, 0)).map(|_| ())
    };
    assert_eq!(create(8), refused, "a handle of a fabric");
    assert_eq!(fake.count(op::cuMemCreate), 0);
    fake.fail(op::cuMemCreate, 2);
    assert_eq!(create(1), Err(CuError::OUT_OF_MEMORY), "asks the worker");
    assert_eq!(fake.count(op::cuMemCreate), 1);
}
