//! Images that a hostile or broken sender makes: any bytes yield a value or an error.

use flexdirect_driver_abi::image::{Image, ImageError, Kind, describe, entries, select_ptx};
use flexdirect_driver_abi::layout::{PARAMETERS_LEN_MAX, cubin_kernels, kernels, ptx_kernels};
use proptest::prelude::*;

const FIXTURES: [&[u8]; 8] = [
    include_bytes!("fixtures/awkward_none.fatbin"),
    include_bytes!("fixtures/awkward_speed.fatbin"),
    include_bytes!("fixtures/awkward_size.fatbin"),
    include_bytes!("fixtures/awkward_debug.fatbin"),
    include_bytes!("fixtures/object_a.fatbin"),
    include_bytes!("fixtures/awkward_80.cubin"),
    include_bytes!("fixtures/awkward_120.cubin"),
    include_bytes!("fixtures/awkward.ptx"),
];

/// Does everything to the bytes that is done to an image.
fn exercise(bytes: &[u8]) {
    if let Ok(all) = entries(bytes) {
        for entry in all.flatten() {
            drop(entry.decode());
        }
    }
    drop(select_ptx(bytes, 80));
    let layouts = ptx_kernels(bytes)
        .into_iter()
        .chain(cubin_kernels(bytes).unwrap_or_default());
    for kernel in layouts {
        assert!(kernel.total <= PARAMETERS_LEN_MAX);
        for parameter in kernel.parameters {
            assert!(parameter.offset + parameter.size <= kernel.total);
        }
    }
    for kind in [Kind::Fatbin, Kind::Linked, Kind::Cubin, Kind::Ptx] {
        if let Ok(image) = Image::new(kind, bytes) {
            assert!(!describe(&image).is_empty());
            drop(kernels(&image, 80));
            drop(image.ptx(80));
            let again = Image::from_bytes(image.as_bytes().to_vec());
            assert_eq!(again.expect("an image is one"), image);
        }
    }
}

/// A fixture with some bytes changed, most of them near a start, where the headers are.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let place = prop_oneof![0usize..200, 0usize..20_000];
    let changes = prop::collection::vec((place, any::<u8>()), 1..8);
    (
        0..FIXTURES.len(),
        changes,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(fixture, changes, cut, is_cut)| {
            let mut bytes = FIXTURES[fixture].to_vec();
            for (place, value) in changes {
                let place = place % bytes.len();
                bytes[place] = value;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    #[test]
    fn a_changed_fixture(bytes in mutated()) {
        exercise(&bytes);
    }

    #[test]
    fn any_bytes_from_a_peer(kind in 0u8..6, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Image::from_bytes([b"FDIM", &[kind, 0, 0, 0], bytes.as_slice()].concat());
    }
}

/// A container with one compressed PTX entry that declares `len` bytes.
fn declared(flags: u64, payload: &[u8], len: u64) -> Vec<u8> {
    let mut bytes = vec![0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0];
    bytes.extend((64 + payload.len() as u64).to_le_bytes());
    let mut header = [0; 64];
    header[0] = 1;
    header[4] = 64;
    header[8..16].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    let compressed_len = u32::try_from(payload.len()).expect("small");
    header[16..20].copy_from_slice(&compressed_len.to_le_bytes());
    header[28] = 80;
    header[40..48].copy_from_slice(&flags.to_le_bytes());
    header[56..].copy_from_slice(&len.to_le_bytes());
    bytes.extend(header);
    bytes.extend(payload);
    bytes
}

/// Each would take gigabytes or write beyond if the header were believed.
#[test]
fn declared_sizes_are_not_believed() {
    const ZSTD: u64 = 0x8000;
    const LZ4: u64 = 0x2000;
    // A frame of one block that repeats a byte 1 MiB times less one (RFC 8878, RLE block).
    let frame = |window: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, window, 0x03, 0, 0x10, b'x'];
    let block = [0x1f, b'x', 1, 0, 0xff, 0xff, 0xff, 0, 0];
    for (flags, payload, len) in [
        (ZSTD, frame(0xff).as_slice(), 8),
        (ZSTD, frame(0x70).as_slice(), 8),
        (ZSTD, frame(0x50).as_slice(), u64::MAX),
        (ZSTD, frame(0x50).as_slice(), 400 << 20),
        (ZSTD, b"", 8),
        (LZ4, block.as_slice(), 400 << 20),
        (LZ4, block.as_slice(), 8),
        (LZ4, block.as_slice(), u64::MAX),
    ] {
        let bytes = declared(flags, payload, len);
        let result = select_ptx(&bytes, 80);
        assert!(result.is_err(), "{flags:#x}, {len}: {result:?}");
    }
    // The same shape with a true size is accepted, so the refusals above are for the sizes.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x50, 0x43, 0, 0, b'x'];
    let text = select_ptx(&declared(ZSTD, &frame, 8), 80);
    assert_eq!(text.expect("eight bytes").expect("one entry"), b"xxxxxxxx");
}

/// Many small containers must not add up to more than one large text may have.
#[test]
fn texts_of_a_linked_image_are_bounded_together() {
    // Repeats one byte in blocks of 128 KiB, 800 times: 100 MiB from 3 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    for block in 0..800 {
        frame.extend([2 | u8::from(block == 799), 0, 0x10, b'x']);
    }
    let object = declared(0x8000, &frame, 800 << 17);
    assert_eq!(
        select_ptx(&object, 80)
            .expect("valid")
            .expect("one entry")
            .len(),
        800 << 17
    );
    let linked = [0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let image = |count| {
        let payload = [linked.as_slice(), &object.repeat(count)].concat();
        Image::new(Kind::Linked, &payload).expect("containers in a row")
    };
    assert_eq!(image(2).ptx(80).expect("within the limit").len(), 2);
    assert!(matches!(image(3).ptx(80), Err(ImageError::TooLarge { .. })));
}
