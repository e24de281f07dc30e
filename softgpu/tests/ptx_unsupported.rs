//! What softgpu does not execute: each such instruction fails the kernel that has it, with its name
//! and line, and no other kernel of the module.
#![allow(clippy::unwrap_used, reason = "test code")]

mod ptx_support;

use ptx_support::Gpu;
use softgpu_cuda::exec::Program;
use softgpu_cuda::ptx;

/// An instruction of each family, as PTX writes it.
const INSTRUCTIONS: &[&str] = &[
    // Above sm_80: warp-group and fifth-generation matrices.
    "wgmma.fence.sync.aligned;",
    "wgmma.commit_group.sync.aligned;",
    "wgmma.wait_group.sync.aligned 0;",
    "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f0, %f1}, \
     %d0, %d1, 1, 1, 1, 0, 0;",
    "tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r0], %r1;",
    "tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r0, 32;",
    "tcgen05.ld.sync.aligned.16x64b.x1.b32 {%r0}, [%r1];",
    "tcgen05.st.sync.aligned.16x64b.x1.b32 [%r1], {%r0};",
    "tcgen05.mma.cta_group::1.kind::f16 [%r0], %d0, %d1, %r1, %p0;",
    "tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%d0];",
    "mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.f32.e4m3.e4m3.f32.ue8m0 \
     {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f0, %f1, %f2, %f3}, \
     %r6, {0, 0}, %r7, {0, 0};",
    // Tensor maps.
    "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r0], \
     [%d0, {%r1, %r2}], [%r3];",
    "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%d0, {%r1, %r2}], [%r3];",
    "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%d0, {%r1, %r2}], \
     [%r3];",
    "tensormap.replace.tile.global_address.global.b1024.b64 [%d0], %d1;",
    "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned \
     [%d0], [%r0], 128;",
    // Several devices and several blocks at once.
    "multimem.ld_reduce.relaxed.sys.global.add.u32 %r0, [%d0];",
    "multimem.st.relaxed.sys.global.u32 [%d0], %r0;",
    "multimem.red.relaxed.sys.global.add.u32 [%d0], %r0;",
    "clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 [%r0], \
     [%r1];",
    // Stochastic rounding.
    "cvt.rs.f16x2.f32 %r0, %f0, %f1, %r1;",
    "cvt.rs.satfinite.e4m3x4.f32 %r0, {%f0, %f1, %f2, %f3}, %r1;",
    // Operands that count as out of bounds.
    "fma.rn.oob.f16 %h0, %h1, %h2, %h3;",
    // Images.
    "istypep.texref %p0, %d0;",
    "tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%d0, {%f4, %f5}], %f6;",
    "tex.2dms.v4.f32.s32 {%f0, %f1, %f2, %f3}, [%d0, {%r0, %r1, %r2, %r3}];",
    // Copies that nothing bounds.
    "cp.async.bulk.global.global [%d0], [%d1], %r0;",
    "st.bulk.shared::cta [%r0], %d0, 0;",
    // Nobody knows these.
    "frobnicate.u32 %r0, %r1;",
    "add.u24 %r0, %r1, %r2;",
    "mma.sync.aligned.m7n7k7.row.col.f32.f16.f16.f32 {%f0}, {%r0}, {%r1}, {%f0};",
    "mma.sp.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, \
     {%r0, %r1, %r2, %r3}, {%r0, %r1, %r2, %r3}, {%f0, %f1, %f2, %f3}, %r0, 2;",
    "atom.global.nand.b32 %r0, [%d0], %r1;",
    "shfl.sync.sideways.b32 %r0, %r1, 0, 31, -1;",
    "vote.sync.most.pred %p0, %p1, -1;",
    "cvt.rn.f31.f32 %r0, %f0;",
    "alloca.u64 %d0, 8, 3;",
    "ld.shared.b7 %r0, [%r1];",
];

#[test]
fn each_fails_its_kernel_alone_with_name_and_line() {
    let mut failed = Vec::new();
    for &instruction in INSTRUCTIONS {
        let text = format!(
            ".version 9.0\n.target sm_100a\n.address_size 64\n\
             .visible .entry good() {{ ret; }}\n.visible .entry bad()\n{{\n\
             .reg .b32 %r<16>; .reg .f32 %f<16>; .reg .b64 %d<8>; .reg .pred %p<4>; \
             .reg .b16 %h<8>;\n\
             mov.u32 %r0, 1;\n{instruction}\nret;\n}}\n\
             .visible .entry other() {{ .reg .b32 %r; mov.u32 %r, 1; ret; }}"
        );
        let program = Program::link(&ptx::parse(&text).unwrap()).unwrap();
        for name in ["good", "other"] {
            assert!(program.kernel(name).unwrap().is_ok(), "{instruction}");
        }
        let name = instruction.split(['.', ' ']).next().unwrap();
        match program.kernel("bad").unwrap() {
            Ok(_) => failed.push(format!("{instruction} is accepted")),
            Err(error) if error.line != 9 || !error.instruction.starts_with(name) => {
                failed.push(format!("{instruction} gives {error:?}"));
            }
            Err(error) => {
                let shown = error.to_string();
                assert!(shown.contains("bad") && shown.contains('9'), "{shown}");
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_other_kernels_of_such_a_module_run() {
    let gpu = Gpu::new(
        ".version 9.0\n.target sm_90a\n.address_size 64\n\
         .visible .entry bad() { wgmma.fence.sync.aligned; ret; }\n\
         .visible .entry good() { ret; }",
    );
    gpu.launch("good", [2, 1, 1], [64, 1, 1], 0, &[]).unwrap();
}
