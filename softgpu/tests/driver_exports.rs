//! The shared library exports what programs look for: every symbol of the table, under the name
//! that they open.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use flexdirect_wire::call::CALLS;
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSymbol as _};

#[test]
fn every_symbol_is_exported() {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    let bytes = std::fs::read(folder.join("libsoftgpu_cuda.so")).unwrap();
    let file = ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
    let exported: HashSet<&str> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition())
        .map(|symbol| symbol.name().unwrap())
        .collect();
    let mut wanted = vec!["softgpu_marker"];
    for call in CALLS {
        wanted.push(call.name);
        wanted.extend(call.twin.map(|twin| twin.0));
    }
    wanted.retain(|symbol| !exported.contains(symbol));
    assert_eq!(wanted, [""; 0], "missing");
    let soname = b"\0libcuda.so.1\0";
    assert!(bytes.windows(soname.len()).any(|window| window == soname));
}
