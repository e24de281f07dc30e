//! Runs single instructions on every lane of a row of inputs.

use super::{Arg, Gpu};

/// Runs `body` on one row of lanes: %a, %b, %c are each lane's three words, %r is stored; %x, %y,
/// %z and %s are their long counterparts (the words' bits doubled up from the inputs given).
pub fn words(body: &str, inputs: &[[u32; 3]]) -> Vec<u32> {
    assert!(inputs.len() <= 64);
    let text = format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n\
         .visible .entry k(.param .u64 from, .param .u64 to, .param .u32 count)\n{{\n\
         .reg .b32 %a, %b, %c, %r, %i, %n, %t<8>;\n.reg .b64 %p, %q, %o, %d<8>;\n\
         .reg .pred %g, %e, %f;\n.reg .b16 %h<8>;\n\
         ld.param.u64 %p, [from]; ld.param.u64 %q, [to]; ld.param.u32 %n, [count];\n\
         mov.u32 %i, %tid.x; setp.ge.u32 %g, %i, %n; @%g bra done;\n\
         mad.wide.u32 %o, %i, 12, %p; ld.global.u32 %a, [%o]; ld.global.u32 %b, [%o+4];\n\
         ld.global.u32 %c, [%o+8]; mov.u32 %r, 0;\n{body}\n\
         mad.wide.u32 %o, %i, 4, %q; st.global.u32 [%o], %r;\ndone: ret;\n}}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    let from = gpu.upload_words(&inputs.concat());
    let to = gpu.allocate(4 * inputs.len());
    let arguments = [
        Arg::Address(from),
        Arg::Address(to),
        Arg::Int(inputs.len() as i32),
    ];
    gpu.launch("k", [1, 1, 1], [64, 1, 1], 0, &arguments)
        .unwrap();
    gpu.words(to, inputs.len())
}

pub fn longs(body: &str, inputs: &[[u64; 3]]) -> Vec<u64> {
    let text = format!(
        ".version 7.0\n.target sm_80\n.address_size 64\n\
         .visible .entry k(.param .u64 from, .param .u64 to, .param .u32 count)\n{{\n\
         .reg .b64 %a, %b, %c, %r, %p, %q, %o;\n.reg .b32 %i, %n, %t<8>;\n.reg .pred %g, %e;\n\
         ld.param.u64 %p, [from]; ld.param.u64 %q, [to]; ld.param.u32 %n, [count];\n\
         mov.u32 %i, %tid.x; setp.ge.u32 %g, %i, %n; @%g bra done;\n\
         mad.wide.u32 %o, %i, 24, %p; ld.global.u64 %a, [%o]; ld.global.u64 %b, [%o+8];\n\
         ld.global.u64 %c, [%o+16]; mov.u64 %r, 0;\n{body}\n\
         mad.wide.u32 %o, %i, 8, %q; st.global.u64 [%o], %r;\ndone: ret;\n}}"
    );
    let gpu = Gpu::with_arena(&text, 1 << 16);
    let from = gpu.upload_longs(&inputs.concat());
    let to = gpu.allocate(8 * inputs.len());
    let arguments = [
        Arg::Address(from),
        Arg::Address(to),
        Arg::Int(inputs.len() as i32),
    ];
    gpu.launch("k", [1, 1, 1], [64, 1, 1], 0, &arguments)
        .unwrap();
    gpu.longs(to, inputs.len())
}

/// Checks `body` on single inputs, a full warp of them and an odd number, so that the row functions
/// and the blend both run.
pub fn check(body: &str, cases: &[([u32; 3], u32)]) {
    let inputs: Vec<[u32; 3]> = cases.iter().map(|case| case.0).collect();
    let wanted: Vec<u32> = cases.iter().map(|case| case.1).collect();
    assert_eq!(words(body, &inputs), wanted, "{body}");
    let many: Vec<[u32; 3]> = inputs.iter().cycle().take(45).copied().collect();
    let wanted: Vec<u32> = wanted.iter().cycle().take(45).copied().collect();
    assert_eq!(words(body, &many), wanted, "{body}, many");
}

pub fn check_longs(body: &str, cases: &[([u64; 3], u64)]) {
    let inputs: Vec<[u64; 3]> = cases.iter().map(|case| case.0).collect();
    let wanted: Vec<u64> = cases.iter().map(|case| case.1).collect();
    assert_eq!(longs(body, &inputs), wanted, "{body}");
}

pub const MIN: u32 = i32::MIN as u32;
pub const MINUS: u32 = u32::MAX;

pub fn f(value: f32) -> u32 {
    value.to_bits()
}

pub fn d(value: f64) -> u64 {
    value.to_bits()
}
