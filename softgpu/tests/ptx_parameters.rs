//! The addresses of a kernel's parameters: by name, in a register, and as generic ones.
#![allow(clippy::unwrap_used, reason = "test code")]

mod ptx_support;

use ptx_support::{Arg, Gpu};

/// Loads the second parameter in every way that compilers write, one a word of the result.
const TEXT: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .entry ways(.param .u64 to, .param .u64 pair)
{
    .reg .b32 %r<12>;
    .reg .b64 %rd<12>;
    ld.param.u64 %rd1, [to];
    ld.param.u32 %r0, [pair];
    ld.param.u32 %r1, [pair+4];
    mov.b64 %rd2, pair;
    ld.param.u32 %r2, [%rd2];
    ld.param.u32 %r3, [%rd2+4];
    mov.u64 %rd3, %rd2;
    cvta.param.u64 %rd4, %rd3;
    ld.u32 %r4, [%rd4];
    ld.u32 %r5, [%rd4+4];
    cvta.param.u64 %rd5, pair;
    ld.u32 %r6, [%rd5+4];
    cvta.to.param.u64 %rd6, %rd5;
    ld.param.u32 %r7, [%rd6+4];
    mov.b64 %rd7, pair+4;
    ld.param.u32 %r8, [%rd7];
    add.s64 %rd8, %rd2, 4;
    ld.param.u32 %r9, [%rd8];
    st.global.v4.u32 [%rd1], {%r0, %r1, %r2, %r3};
    st.global.v4.u32 [%rd1+16], {%r4, %r5, %r6, %r7};
    st.global.v2.u32 [%rd1+32], {%r8, %r9};
    ret;
}
.visible .entry past(.param .u64 to)
{
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    mov.b64 %rd1, to;
    ld.param.u32 %r1, [%rd1+8];
    ret;
}
";

#[test]
fn a_parameter_is_read_through_its_address() {
    let gpu = Gpu::new(TEXT);
    let to = gpu.allocate(40);
    let arguments = [Arg::Address(to), Arg::Long(0x2222_2222_1111_1111)];
    gpu.launch("ways", [1; 3], [1; 3], 0, &arguments).unwrap();
    let (low, high) = (0x1111_1111, 0x2222_2222);
    let wanted = [low, high, low, high, low, high, high, high, high, high];
    assert_eq!(gpu.words(to, 10), wanted);
}

#[test]
fn nothing_lies_behind_the_parameters() {
    let gpu = Gpu::new(TEXT);
    let fault = gpu.launch("past", [1; 3], [1; 3], 0, &[Arg::Address(0)]);
    assert!(fault.is_err(), "{fault:?}");
}
