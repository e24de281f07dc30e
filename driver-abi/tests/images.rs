//! Images as the compiler makes them: copied from a pointer, chosen from, and laid out.
//!
//! `fixtures/build.sh` makes the files from the small kernels beside it.
#![expect(unsafe_code, reason = "images are given as pointers")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::c_void;

use flexdirect_driver_abi::image::{
    EntryKind, Image, ImageError, Kind, copy_image, describe, entries, select_ptx,
};
use flexdirect_driver_abi::layout::{KernelLayout, kernels};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}

const MODES: [&[u8]; 4] = [
    fixture!("awkward_none.fatbin"),
    fixture!("awkward_speed.fatbin"),
    fixture!("awkward_balance.fatbin"),
    fixture!("awkward_size.fatbin"),
];

/// Copies from behind a pointer, with the bytes at an odd address: nothing promises alignment.
fn copied(bytes: &[u8]) -> Result<Image, ImageError> {
    let mut shifted = vec![0];
    shifted.extend_from_slice(bytes);
    // SAFETY: the tests give whole images, and text with its null byte.
    unsafe { copy_image(shifted[1..].as_ptr().cast()) }
}

#[repr(C)]
struct Wrapper(u32, u32, *const u8, *const *const u8);

fn copied_wrapper(wrapper: &Wrapper) -> Result<Image, ImageError> {
    // SAFETY: the wrapper's pointers are to whole containers.
    unsafe { copy_image(std::ptr::from_ref(wrapper).cast()) }
}

/// Parameters as offset and size, for each kernel by name.
fn layout_of(kernels: &[KernelLayout], name: &str) -> (Vec<(u32, u32)>, u32) {
    let kernel = kernels
        .iter()
        .find(|kernel| kernel.name == name)
        .expect(name);
    let parameters = kernel.parameters.iter().map(|one| (one.offset, one.size));
    (parameters.collect(), kernel.total)
}

fn assert_awkward(kernels: &[KernelLayout]) {
    assert_eq!(kernels.len(), 3);
    let awkward = vec![(0, 1), (2, 2), (8, 24), (32, 12), (48, 8), (56, 1)];
    assert_eq!(layout_of(kernels, "awkward"), (awkward, 57));
    assert_eq!(layout_of(kernels, "nothing"), (Vec::new(), 0));
    let vector_add = vec![(0, 8), (8, 8), (16, 8), (24, 4)];
    assert_eq!(layout_of(kernels, "vector_add"), (vector_add, 28));
}

#[test]
fn every_compression_mode_yields_the_same_layouts() {
    for fatbin in MODES {
        let image = copied(fatbin).unwrap();
        assert_eq!((image.kind(), image.payload()), (Kind::Fatbin, fatbin));
        // 80 and 90 have cubins, 86 runs that for 80, and 120 has to compile the PTX.
        for capability in [80, 86, 90, 120, 75] {
            assert_awkward(&kernels(&image, capability).unwrap());
        }
    }
}

#[test]
fn every_compression_mode_yields_the_same_bytes() {
    let decoded = |fatbin| -> Vec<Vec<u8>> {
        let all = entries(fatbin)
            .unwrap()
            .map(|entry| entry.unwrap().decode().unwrap().to_vec());
        all.collect()
    };
    let raw = decoded(MODES[0]);
    assert_eq!(raw.len(), 3);
    assert_eq!(&raw[1], fixture!("awkward_80.cubin"));
    let text = select_ptx(MODES[0], 80).unwrap().unwrap();
    assert!(
        text.starts_with(b"\n") && text.ends_with(b"}\n\n"),
        "no null byte is left"
    );
    for fatbin in MODES {
        assert_eq!(decoded(fatbin)[1..], raw[1..]);
        assert_eq!(select_ptx(fatbin, 80).unwrap().unwrap(), text);
    }
}

#[test]
fn a_debug_container_has_names_and_is_read_all_the_same() {
    let fatbin = fixture!("awkward_debug.fatbin");
    let kinds: Vec<_> = entries(fatbin)
        .unwrap()
        .map(|entry| entry.unwrap().kind)
        .collect();
    assert_eq!(kinds, [EntryKind::CUBIN, EntryKind::PTX]);
    assert!(select_ptx(fatbin, 80).unwrap().unwrap().starts_with(b"\n"));
    assert_awkward(&kernels(&copied(fatbin).unwrap(), 80).unwrap());
    assert_awkward(&kernels(&copied(fatbin).unwrap(), 100).unwrap());
}

#[test]
fn the_highest_ptx_not_above_the_capability_else_the_lowest() {
    let target = |capability| {
        let text = select_ptx(fixture!("awkward_ptx.fatbin"), capability)
            .unwrap()
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        text.split(".target sm_").nth(1).unwrap()[..2].to_owned()
    };
    assert_eq!(target(121), "90");
    assert_eq!(target(90), "90");
    assert_eq!(target(89), "80");
    assert_eq!(target(80), "80");
    assert_eq!(target(75), "75");
    assert_eq!(target(70), "75");
    assert_eq!(select_ptx(fixture!("linked.fatbin"), 80).unwrap(), None);
}

#[test]
fn bare_cubins_and_texts() {
    let cubin = copied(fixture!("awkward_80.cubin")).unwrap();
    assert_eq!(
        (cubin.kind(), cubin.payload()),
        (Kind::Cubin, fixture!("awkward_80.cubin"))
    );
    assert_awkward(&kernels(&cubin, 80).unwrap());
    assert_awkward(&kernels(&copied(fixture!("awkward_120.cubin")).unwrap(), 120).unwrap());

    let text = [fixture!("awkward.ptx"), &[0]].concat();
    let ptx = copied(&text).unwrap();
    assert_eq!((ptx.kind(), ptx.payload()), (Kind::Ptx, text.as_slice()));
    assert_awkward(&kernels(&ptx, 80).unwrap());
    assert_eq!(ptx.ptx(80).unwrap(), [fixture!("awkward.ptx")]);
    assert_eq!(Image::new(Kind::Ptx, fixture!("awkward.ptx")).unwrap(), ptx);
}

#[test]
fn the_end_of_a_cubin_is_found_in_what_follows_it() {
    for cubin in [
        fixture!("awkward_80.cubin"),
        fixture!("awkward_120.cubin"),
        fixture!("large_90.cubin"),
    ] {
        let followed = [cubin, &[0xcc; 4096]].concat();
        assert_eq!(copied(&followed).unwrap().payload(), cubin);
        assert_eq!(Image::new(Kind::Cubin, &followed).unwrap().payload(), cubin);
    }
}

#[test]
fn a_large_parameter_uses_the_second_form() {
    let text = Image::new(Kind::Ptx, fixture!("large.ptx")).unwrap();
    let cubin = Image::new(Kind::Cubin, fixture!("large_90.cubin")).unwrap();
    for image in [text, cubin] {
        let large = vec![(0, 20_000), (20_000, 4), (20_008, 8)];
        assert_eq!(
            layout_of(&kernels(&image, 90).unwrap(), "large"),
            (large, 20_016)
        );
    }
}

#[test]
fn a_wrapper_of_version_1_is_its_container() {
    let fatbin = fixture!("awkward_balance.fatbin");
    // What follows a container, here other containers, is none of it.
    let section = [fatbin, fixture!("object_a.fatbin")].concat();
    let wrapper = Wrapper(0x4662_43b1, 1, section.as_ptr(), std::ptr::dangling());
    let image = copied_wrapper(&wrapper).unwrap();
    assert_eq!(image, copied(fatbin).unwrap());
    assert_eq!(image.containers().collect::<Vec<_>>(), [fatbin]);
}

#[test]
fn a_wrapper_of_version_2_carries_its_objects() {
    let (linked, a, b) = (
        fixture!("linked.fatbin"),
        fixture!("object_a.fatbin"),
        fixture!("object_b.fatbin"),
    );
    let objects = [a.as_ptr(), b.as_ptr(), std::ptr::null()];
    let image =
        copied_wrapper(&Wrapper(0x4662_43b1, 2, linked.as_ptr(), objects.as_ptr())).unwrap();
    assert_eq!(image.kind(), Kind::Linked);
    assert_eq!(image.containers().collect::<Vec<_>>(), [linked, a, b]);

    let texts = image.ptx(80).unwrap();
    assert_eq!(texts.len(), 2, "both halves, to be one module");
    assert!(texts[0].windows(6).any(|part| part == b"caller"));
    assert!(texts[1].windows(5).any(|part| part == b"twice"));

    for capability in [80, 90] {
        let kernels = kernels(&image, capability).unwrap();
        assert_eq!(
            kernels.len(),
            2,
            "device functions are no kernels: {kernels:?}"
        );
        assert_eq!(layout_of(&kernels, "caller"), (vec![(0, 8), (8, 4)], 12));
        assert_eq!(layout_of(&kernels, "idle"), (Vec::new(), 0));
    }
    assert_eq!(Image::from_bytes(image.as_bytes().to_vec()).unwrap(), image);
    assert!(describe(&image).starts_with("linked fatbin of"));

    let alone = Wrapper(0x4662_43b1, 2, linked.as_ptr(), std::ptr::null());
    assert_eq!(copied_wrapper(&alone).unwrap().kind(), Kind::Fatbin);
}

#[test]
fn what_is_no_image() {
    // SAFETY: a null pointer is looked at, not through.
    let null = unsafe { copy_image(std::ptr::null::<c_void>()) };
    assert_eq!(null.unwrap_err().code(), 1);
    for bytes in [&b"\0"[..], b"\x7fEL\0", b"P", b"\xb1\x43\0", b"MZ"] {
        let error = copied(bytes).unwrap_err();
        assert!(matches!(error, ImageError::Unrecognised { .. }), "{error}");
        assert_eq!(error.code(), 200);
    }
    let wrapper = Wrapper(0x4662_43b1, 1, std::ptr::null(), std::ptr::null());
    assert!(matches!(copied_wrapper(&wrapper), Err(ImageError::Null)));
    let mut header = [
        0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0x80,
    ];
    assert!(matches!(copied(&header), Err(ImageError::TooLarge { .. })));
    header[6] = 15;
    assert!(matches!(copied(&header), Err(ImageError::Malformed { .. })));
}

#[test]
fn an_empty_container_is_an_empty_module() {
    let image = copied(&[0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(kernels(&image, 80).unwrap(), []);
    assert_eq!(image.ptx(80).unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(describe(&image), "fatbin of 16 bytes with no entries");
}

#[test]
fn a_description_lists_what_is_there() {
    let line = describe(&copied(fixture!("awkward_balance.fatbin")).unwrap());
    assert_eq!(
        line,
        "fatbin of 14600 bytes with PTX 9.0 compute_80 (zstd), cubin sm_80, cubin sm_90"
    );
    let line = describe(&copied(fixture!("awkward_80.cubin")).unwrap());
    assert_eq!(line, "cubin of 6440 bytes");
}

#[test]
fn an_image_from_a_peer_lies_within_its_bytes() {
    let image = copied(fixture!("awkward_80.cubin")).unwrap();
    let cut = |len: usize| Image::from_bytes(image.as_bytes()[..len].to_vec());
    for len in [0, 7, 8, 40, 71, 3000, image.as_bytes().len() - 1] {
        assert!(cut(len).is_err(), "{len}");
    }
    let fatbin = copied(fixture!("awkward_none.fatbin")).unwrap();
    let longer = [fatbin.as_bytes(), &[0]].concat();
    assert!(Image::from_bytes(longer).is_err());
    let two = [fatbin.as_bytes(), fatbin.payload()].concat();
    assert!(
        Image::from_bytes(two.clone()).is_err(),
        "one container is not two"
    );
    let linked = [b"FDIM\x02\0\0\0", &two[8..]].concat();
    assert_eq!(Image::from_bytes(linked).unwrap().containers().count(), 2);
    assert!(Image::from_bytes(b"FDIM\x04\0\0\0.version\0 9\0".to_vec()).is_err());
    assert!(Image::from_bytes(b"FDIM\x05\0\0\0.version\0".to_vec()).is_err());
}
