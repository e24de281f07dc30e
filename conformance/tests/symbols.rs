//! What both `libcuda.so.1` export: every symbol of the table and, beyond it, only our markers.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;

use flexdirect_conformance::harness::{Library, library};
use flexdirect_wire::call::CALLS;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSymbol, elf};

/// By these a worker knows a libcuda that is not NVIDIA's, and refuses the shim.
const MARKERS: &[&str] = &["flexdirect_shim_marker", "softgpu_marker"];

#[test]
fn the_shim_exports_the_table() {
    exports_the_table(Library::Shim);
}

#[test]
fn softgpu_exports_the_table() {
    exports_the_table(Library::Softgpu);
}

#[test]
fn nothing_optional_is_linked() {
    for which in [Library::Shim, Library::Softgpu] {
        let path = library(which);
        let bytes = fs::read(&path).unwrap();
        let file: ElfFile64<'_> = ElfFile64::parse(&*bytes).unwrap();
        let endian = file.endian();
        let table = file
            .elf_section_table()
            .dynamic_table(endian, &*bytes)
            .unwrap();
        let texts = |tag: elf::DynamicTag| -> Vec<String> {
            let found = table.iter().filter(|entry| entry.tag == tag);
            let text = |entry| table.string(entry).unwrap().to_vec();
            found
                .map(|entry| String::from_utf8(text(entry)).unwrap())
                .collect()
        };
        assert_eq!(
            texts(elf::DT_SONAME),
            ["libcuda.so.1"],
            "{}",
            path.display()
        );
        let allowed = [
            "libc.so.6",
            "libm.so.6",
            "libgcc_s.so.1",
            "ld-linux-x86-64.so.2",
        ];
        for needed in texts(elf::DT_NEEDED) {
            assert!(
                allowed.contains(&&*needed),
                "{} needs {needed}",
                path.display()
            );
        }
        assert_eq!(texts(elf::DT_RPATH).len() + texts(elf::DT_RUNPATH).len(), 0);
    }
}

fn exports_the_table(which: Library) {
    let path = library(which);
    let bytes = fs::read(&path).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let symbols = file.dynamic_symbols().filter(ObjectSymbol::is_definition);
    let exported: BTreeSet<&str> = symbols.map(|symbol| symbol.name().unwrap()).collect();
    let table: BTreeSet<&str> = CALLS
        .iter()
        .flat_map(|call| [Some(call.name), call.twin.map(|twin| twin.0)])
        .flatten()
        .collect();
    assert_eq!(table.len(), 699, "symbols of CUDA 13.5");
    let missing: Vec<_> = table.difference(&exported).collect();
    assert!(
        missing.is_empty(),
        "{}: not exported: {missing:?}",
        path.display()
    );
    let beyond: Vec<_> = exported.difference(&table).collect();
    let markers: Vec<_> = beyond
        .iter()
        .filter(|name| MARKERS.contains(name))
        .collect();
    assert_eq!(
        markers.len(),
        1,
        "{}: its marker: {beyond:?}",
        path.display()
    );
    assert_eq!(
        beyond.len(),
        1,
        "{}: beyond the table: {beyond:?}",
        path.display()
    );
}
