//! Textures and surfaces in the interpreter, against the formulas of the CUDA C++ Programming
//! Guide, "Texture Fetching", and PTX's rules for what lies outside of a surface.
#![allow(clippy::unwrap_used, reason = "test code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "test code"
)]

mod ptx_support;

use std::sync::Arc;

use ptx_support::images::*;
use ptx_support::{Arg, Gpu};
use softgpu_cuda::exec::{Channel, Fault, Image, Outside, Sampler, Texture};

#[test]
fn every_mode_filter_and_format() {
    let mut seed = 0x7e47;
    println!("seed {seed:#x}");
    for kind in KINDS {
        let mut gpu = Gpu::new(&fetches());
        for channels in [1, 2, 4] {
            for dims in 1..=3usize {
                let size = [[8, 1, 1], [8, 4, 1], [4, 8, 2]][dims - 1];
                seed += 1;
                let both = fill(&gpu, size, 1, kind, channels, seed);
                for outside in [
                    Outside::Wrap,
                    Outside::Clamp,
                    Outside::Mirror,
                    Outside::Border,
                ] {
                    for variant in 0..8 {
                        let [is_blended, is_normalised, as_fraction] =
                            [1, 2, 4].map(|bit| variant & bit != 0);
                        let sampler = Sampler {
                            outside: [outside; 3],
                            is_blended,
                            is_normalised,
                            as_fraction,
                            border: [0.5f32, 0.25, 2.0, 1.0].map(f32::to_bits),
                            ..PLAIN
                        };
                        compare(&mut gpu, &both, sampler, dims, seed);
                    }
                }
            }
        }
    }
}

fn compare(gpu: &mut Gpu, both: &Both, sampler: Sampler, dims: usize, seed: u64) {
    let kind = both.image.channel;
    let places = places(both.image.size, sampler.is_normalised, seed ^ 0x55);
    let floats = !kind.is_integer() || sampler.as_fraction && kind.size() < 4;
    let result = match kind {
        _ if floats => "f32",
        Channel::Signed8 | Channel::Signed16 | Channel::Signed32 => "s32",
        _ => "u32",
    };
    let texture = Texture {
        levels: vec![both.image.clone()],
        is_linear: false,
        sampler,
    };
    let found = run(gpu, &format!("get_{dims}d_{result}"), texture, &places);
    for (place, found) in places.iter().zip(found) {
        for channel in 0..4 {
            let about = || format!("seed {seed:#x} {kind:?} {sampler:?} {place:?} {channel}");
            if channel >= both.image.channels as usize {
                continue;
            }
            if floats {
                let wanted = model(both, &sampler, dims, *place, channel);
                let found = f64::from(f32::from_bits(found[channel]));
                assert!(
                    (found - wanted).abs() < 2e-5,
                    "{}: {found} {wanted}",
                    about()
                );
                continue;
            }
            let mut inside = Some([0; 3]);
            for axis in 0..dims {
                let len = i64::from(both.image.size[axis]);
                let scale = if sampler.is_normalised {
                    len as f32
                } else {
                    1.0
                };
                let index = (place[axis] * scale).floor() as i64;
                let index = walk(sampler.outside[axis], sampler.is_normalised, index, len);
                inside = inside.zip(index).map(|(mut inside, index)| {
                    inside[axis] = index;
                    inside
                });
            }
            let wanted = inside.map_or(sampler.border[channel], |inside| {
                whole(kind, both.at(inside, channel))
            });
            assert_eq!(found[channel], wanted, "{}", about());
        }
    }
}

/// One kernel for each form of instruction.
fn forms() -> String {
    let head = ".version 7.0\n.target sm_80\n.address_size 64\n".to_owned();
    let tex = |name: &str, shape: &str, rest: &str| {
        let body = format!("{shape}.v4.f32.f32 {{%r4, %r5, %r6, %r7}}, [%rd1, {rest};");
        kernel(name, &format!("cvt.rzi.s32.f32 %r1, %f1; {body}"))
    };
    let zero = "0f00000000";
    let gradients = format!("{{%f1, %f2}}], {{%f3, {zero}}}, {{{zero}, {zero}}}");
    let index = "cvt.rzi.s32.f32 %r1, %f1;
    tex.1d.v4.f32.s32 {%r4, %r5, %r6, %r7}, [%rd1, {%r1}];";
    let queries = "txq.width.b32 %r4, [%rd1];
    txq.height.b32 %r5, [%rd1];
    txq.channel_data_type.b32 %r6, [%rd1];
    txq.array_size.b32 %r7, [%rd1];";
    [
        head,
        tex("layer", "tex.a2d", "{%r1, %f2, %f3, %f3}]"),
        tex("face", "tex.cube", "{%f1, %f2, %f3, %f3}]"),
        tex("level", "tex.level.2d", "{%f1, %f2}], %f3"),
        tex("grad", "tex.grad.2d", &gradients),
        tex("offset", "tex.2d", "{%f1, %f2}], {1, -1}"),
        tex("gather", "tld4.r.2d", "{%f1, %f2}]"),
        kernel("index", index),
        kernel(
            "pair",
            "tex.2d.v2.f16x2.f32 {%r4, %r5}, [%rd1, {%f1, %f2}];",
        ),
        kernel("queries", queries),
    ]
    .concat()
}

#[test]
fn layers_and_faces_are_chosen() {
    let mut gpu = Gpu::new(&forms());
    let layers = counting(&gpu, [2, 1, 1], 3, 0.0);
    let found = run(
        &mut gpu,
        "layer",
        of(vec![layers], PLAIN),
        &[[1.0, 1.5, 0.0], [-4.0, 0.5, 0.0], [9.0, 1.5, 0.0]],
    );
    assert_eq!(singles(&found), [3.0, 0.0, 5.0]);
    let faces = counting(&gpu, [1, 1, 1], 6, 10.0);
    let directions = [
        [1.0, 0.5, 0.5],
        [-1.0, 0.5, 0.5],
        [0.5, 1.0, 0.5],
        [0.5, -1.0, 0.5],
        [0.5, 0.5, 1.0],
        [0.5, 0.5, -1.0],
    ];
    let found = run(&mut gpu, "face", of(vec![faces], PLAIN), &directions);
    assert_eq!(singles(&found), [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]);
}

#[test]
fn levels_are_chosen_and_blended() {
    let mut gpu = Gpu::new(&forms());
    let levels = [[4, 4, 1], [2, 2, 1], [1, 1, 1]];
    let values = [0.0, 100.0, 200.0];
    let levels: Vec<Image> = (levels.iter().zip(values))
        .map(|(size, first)| counting(&gpu, *size, 1, first))
        .collect();
    let between = Sampler {
        is_normalised: true,
        blends_levels: true,
        ..PLAIN
    };
    let spots = [0.0, 0.5, 1.0, 9.0, -3.0].map(|level| [0.0, 0.0, level]);
    let found = run(&mut gpu, "level", of(levels.clone(), between), &spots);
    assert_eq!(singles(&found), [0.0, 50.0, 100.0, 200.0, 0.0]);
    let limited = Sampler {
        levels: [0.0, 1.0],
        bias: 0.5,
        ..between
    };
    let found = run(&mut gpu, "level", of(levels.clone(), limited), &spots);
    assert_eq!(singles(&found), [50.0, 100.0, 100.0, 100.0, 0.0]);
    let steps = [0.25, 0.5, 1.0].map(|step| [0.0, 0.0, step]);
    let found = run(&mut gpu, "grad", of(levels, between), &steps);
    assert_eq!(singles(&found), [0.0, 100.0, 200.0]);
}

#[test]
fn other_forms_of_fetches() {
    let mut gpu = Gpu::new(&forms());
    let layers = counting(&gpu, [2, 1, 1], 3, 0.0);
    let square = counting(&gpu, [4, 4, 1], 1, 0.0);
    let middle = [[1.5, 1.5, 0.0]];
    let plain = || of(vec![square.clone()], PLAIN);
    assert_eq!(singles(&run(&mut gpu, "offset", plain(), &middle)), [2.0]);
    let found = run(&mut gpu, "gather", plain(), &[[2.0, 2.0, 0.0]]);
    let expected = [9.0f32, 10.0, 6.0, 5.0].map(f32::to_bits);
    assert_eq!(found, [expected]);
    let found = run(&mut gpu, "pair", plain(), &middle);
    assert_eq!(found, [[0x4500, 0x3c00 << 16, 0, 0]], "5, 0, 0 and 1");
    let found = run(&mut gpu, "queries", of(vec![layers], PLAIN), &middle);
    assert_eq!(found, [[2, 1, 0x10de, 3]]);
    let line = Texture {
        is_linear: true,
        ..of(vec![counting(&gpu, [4, 1, 1], 1, 5.0)], PLAIN)
    };
    let found = run(
        &mut gpu,
        "index",
        line,
        &[-1.0, 0.0, 3.0, 4.0].map(|x| [x; 3]),
    );
    assert_eq!(singles(&found), [0.0, 5.0, 8.0, 0.0], "zero outside");
}

/// `get` and `put` by the rule for what lies outside; both take a surface, x, y, and a place.
fn surfaces() -> String {
    let mut text = ".version 7.0\n.target sm_80\n.address_size 64\n".to_owned();
    for bounds in ["trap", "clamp", "zero"] {
        let value = "ld.global.u32 %r4, [%rd2];";
        let put = format!("2d.b32.{bounds} [%rd1, {{%r1, %r2}}], {{%r4}};");
        let get = format!("suld.b.2d.b32.{bounds} {{%r4}}, [%rd1, {{%r1, %r2}}];");
        let add = format!("sured.b.add.2d.u32.{bounds} [%rd1, {{%r1, %r2}}], %r4;");
        for (name, body) in [
            ("get", format!("{get} st.global.u32 [%rd2], %r4;")),
            ("put", format!("{value} sust.b.{put}")),
            ("add", format!("{value} {add}")),
            ("form", format!("{value} sust.p.{put}")),
        ] {
            text += &format!(
                ".visible .entry {name}_{bounds}(
    .param .u64 s, .param .s32 x, .param .s32 y, .param .u64 p
) {{
    .reg .u64 %rd<4>; .reg .b32 %r<8>;
    ld.param.u64 %rd1, [s];
    ld.param.s32 %r1, [x];
    ld.param.s32 %r2, [y];
    ld.param.u64 %rd2, [p];
    {body}
    ret;
}}
"
            );
        }
    }
    text
}

/// A surface of words and one of signed bytes, of 5 by 3, and a place for a value.
fn two_surfaces(gpu: &mut Gpu) -> (Image, Image, u64) {
    let words = fill(gpu, [5, 3, 1], 1, Channel::Unsigned32, 1, 11).image;
    let small = fill(gpu, [5, 3, 1], 1, Channel::Signed8, 1, 12).image;
    gpu.images = Some(Box::new(Objects {
        surfaces: vec![Arc::new(words.clone()), Arc::new(small.clone())],
        ..Objects::default()
    }));
    (words, small, gpu.allocate(4))
}

/// Runs one thread with a surface and two coordinates.
fn go(gpu: &Gpu, place: u64, name: &str, [surface, x, y]: [i32; 3]) -> Result<(), Fault> {
    let surface = Arg::Long(u64::from(surface.unsigned_abs()));
    let arguments = [surface, Arg::Int(x), Arg::Int(y), Arg::Address(place)];
    gpu.launch(name, [1, 1, 1], [1, 1, 1], 0, &arguments)
}

#[test]
fn surfaces_keep_their_bounds() {
    let mut gpu = Gpu::new(&surfaces());
    let (words, _, place) = two_surfaces(&mut gpu);
    let go = |name: &str, surface, x, y| go(&gpu, place, name, [surface, x, y]);
    let rows = || -> Vec<u32> {
        let row = |y: u64| gpu.words(words.address + y * words.pitch, 5);
        (0..3).flat_map(row).collect()
    };
    let before = rows();
    for y in -1..4i32 {
        for x in -2..7i32 {
            let inside = (0..5).contains(&x) && (0..3).contains(&y);
            let nearest = (y.clamp(0, 2) * 5 + x.clamp(0, 4)) as usize;
            for (bounds, wanted) in [
                ("trap", inside.then(|| before[nearest])),
                ("clamp", Some(before[nearest])),
                ("zero", Some(if inside { before[nearest] } else { 0 })),
            ] {
                gpu.write(place, &[9; 4]);
                let done = go(&format!("get_{bounds}"), 1, 4 * x, y);
                match wanted {
                    Some(wanted) => {
                        done.unwrap();
                        assert_eq!(gpu.words(place, 1), [wanted], "{bounds} {x} {y}");
                    }
                    None => assert!(matches!(done, Err(Fault::Trap { .. })), "{done:?}"),
                }
                gpu.write(place, &7u32.to_le_bytes());
                let done = go(&format!("put_{bounds}"), 1, 4 * x, y);
                assert_eq!(done.is_ok(), inside || bounds != "trap");
                let mut expected = before.clone();
                if inside || bounds == "clamp" {
                    expected[nearest] = 7;
                }
                assert_eq!(rows(), expected, "{bounds} {x} {y}");
                gpu.write(
                    words.address + (nearest / 5) as u64 * words.pitch + 4 * (nearest % 5) as u64,
                    &before[nearest].to_le_bytes(),
                );
            }
        }
    }
}

#[test]
fn surfaces_are_reduced_and_formatted() {
    let mut gpu = Gpu::new(&surfaces());
    let (words, small, place) = two_surfaces(&mut gpu);
    let go = |name: &str, surface, x, y| go(&gpu, place, name, [surface, x, y]);
    let third = words.address + words.pitch + 8;
    let before = gpu.words(third, 1)[0];
    let misaligned = go("get_clamp", 1, 2, 0);
    assert!(
        matches!(misaligned, Err(Fault::Misaligned { .. })),
        "{misaligned:?}"
    );
    gpu.write(place, &5u32.to_le_bytes());
    go("add_trap", 1, 8, 1).unwrap();
    assert_eq!(gpu.words(third, 1), [before.wrapping_add(5)]);
    gpu.write(place, &(-1000i32).to_le_bytes());
    go("form_trap", 2, 3, 2).unwrap();
    let last = small.address + 2 * small.pitch;
    assert_eq!(gpu.read(last + 3, 1), [0x80], "what does not fit saturates");
    assert!(matches!(go("form_trap", 2, 5, 2), Err(Fault::Trap { .. })));
    let unknown = go("get_zero", 3, 0, 0);
    assert!(matches!(
        unknown,
        Err(Fault::IllegalAddress { address: 3, .. })
    ));
}

#[test]
fn images_beyond_the_arena_fault() {
    let mut gpu = Gpu::new(&fetches());
    let end = gpu.end();
    let image = Image {
        address: end - 16,
        ..counting(&gpu, [8, 1, 1], 1, 0.0)
    };
    gpu.images = Some(Box::new(Objects {
        textures: vec![Arc::new(of(vec![image], PLAIN))],
        ..Objects::default()
    }));
    let at = gpu.upload_singles(&[7.0, 0.0, 0.0]);
    let target = gpu.allocate(16);
    let arguments = [Arg::Long(1), Arg::Address(at), Arg::Address(target)];
    let found = gpu.launch("get_1d_f32", [1, 1, 1], [1, 1, 1], 0, &arguments);
    assert!(
        matches!(found, Err(Fault::IllegalAddress { address, .. }) if address == end + 12),
        "{found:?}"
    );
}
