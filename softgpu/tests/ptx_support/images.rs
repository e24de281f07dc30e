//! Images in the arena of a test, a model of how textures read them, and kernels that do.
#![allow(clippy::cast_precision_loss, clippy::float_cmp, reason = "test code")]

use std::sync::Arc;

use softgpu_cuda::exec::{Channel, Image, Images, Outside, Sampler, Texture};

use super::{Arg, Gpu, scattered};

/// Handle n is the texture, or the surface, n - 1.
#[derive(Default)]
pub struct Objects {
    pub textures: Vec<Arc<Texture>>,
    pub surfaces: Vec<Arc<Image>>,
}

impl Images for Objects {
    fn texture(&self, handle: u64) -> Option<Arc<Texture>> {
        self.textures.get(handle.checked_sub(1)? as usize).cloned()
    }

    fn surface(&self, handle: u64) -> Option<Arc<Image>> {
        self.surfaces.get(handle.checked_sub(1)? as usize).cloned()
    }
}

pub const PLAIN: Sampler = Sampler {
    outside: [Outside::Clamp; 3],
    is_blended: false,
    is_normalised: false,
    as_fraction: false,
    is_srgb: false,
    border: [0; 4],
    blends_levels: false,
    bias: 0.0,
    levels: [0.0, 100.0],
};

pub const KINDS: [Channel; 8] = [
    Channel::Unsigned8,
    Channel::Unsigned16,
    Channel::Unsigned32,
    Channel::Signed8,
    Channel::Signed16,
    Channel::Signed32,
    Channel::Half,
    Channel::Single,
];

/// Bits of a value from random ones: floats are small multiples of 1/8.
pub fn bits_of(kind: Channel, random: u32) -> u32 {
    let small = (random % 129) as f32 / 8.0 - 8.0;
    match kind {
        Channel::Unsigned8 | Channel::Signed8 => random & 0xff,
        Channel::Unsigned16 | Channel::Signed16 => random & 0xffff,
        Channel::Unsigned32 | Channel::Signed32 => random,
        Channel::Single => small.to_bits(),
        Channel::Half if small == 0.0 => 0,
        Channel::Half => {
            let bits = small.to_bits();
            let exponent = (bits >> 23 & 0xff) + 15 - 127;
            bits >> 16 & 0x8000 | exponent << 10 | bits >> 13 & 0x3ff
        }
    }
}

/// What bits are worth as a float or a fraction.
pub fn worth(kind: Channel, bits: u32) -> f64 {
    match kind {
        Channel::Unsigned8 => f64::from(bits) / 255.0,
        Channel::Unsigned16 => f64::from(bits) / 65_535.0,
        Channel::Signed8 => (f64::from(bits as u8 as i8) / 127.0).max(-1.0),
        Channel::Signed16 => (f64::from(bits as u16 as i16) / 32_767.0).max(-1.0),
        Channel::Half => {
            let exponent = (bits >> 10 & 0x1f) as i32;
            let value = f64::from(bits & 0x3ff | 0x400) * 2f64.powi(exponent - 25);
            let value = if bits & 0x7fff == 0 { 0.0 } else { value };
            if bits & 0x8000 == 0 { value } else { -value }
        }
        _ => f64::from(f32::from_bits(bits)),
    }
}

/// An integer channel in 32 bits.
pub fn whole(kind: Channel, bits: u32) -> u32 {
    match kind {
        Channel::Signed8 => bits as u8 as i8 as u32,
        Channel::Signed16 => bits as u16 as i16 as u32,
        _ => bits,
    }
}

/// An image on both sides: the values by place and channel are the model.
pub struct Both {
    pub image: Image,
    pub bits: Vec<u32>,
}

pub fn fill(
    gpu: &Gpu,
    size: [u32; 3],
    layers: u32,
    kind: Channel,
    channels: u32,
    seed: u64,
) -> Both {
    let row = u64::from(size[0] * channels * kind.size());
    let pitch = row.next_multiple_of(32);
    let slice = pitch * u64::from(size[1]);
    let slices = size[2] * layers;
    let count = (size[0] * size[1] * slices * channels) as usize;
    let bits: Vec<u32> = (scattered(count, seed).into_iter())
        .map(|random| bits_of(kind, random))
        .collect();
    let address = gpu.allocate((slice * u64::from(slices)) as usize);
    let per_row = (size[0] * channels) as usize;
    for (index, row) in bits.chunks(per_row).enumerate() {
        let bytes: Vec<u8> = (row.iter())
            .flat_map(|bits| bits.to_le_bytes()[..kind.size() as usize].to_vec())
            .collect();
        gpu.write(address + pitch * index as u64, &bytes);
    }
    let image = Image {
        address,
        size,
        layers,
        pitch,
        slice,
        channel: kind,
        channels,
    };
    Both { image, bits }
}

impl Both {
    pub fn at(&self, [x, y, z]: [i64; 3], channel: usize) -> u32 {
        let [width, height, _] = self.image.size.map(i64::from);
        let texel = (z * height + y) * width + x;
        self.bits[texel as usize * self.image.channels as usize + channel]
    }
}

/// The index that an index outside means, by walking.
pub fn walk(outside: Outside, normalised: bool, mut index: i64, len: i64) -> Option<i64> {
    while !(0..len).contains(&index) {
        index = match outside {
            Outside::Wrap if normalised => index - len * index.signum(),
            Outside::Wrap | Outside::Mirror if !normalised => index.clamp(0, len - 1),
            Outside::Mirror if index < 0 => -1 - index,
            Outside::Mirror => 2 * len - 1 - index,
            Outside::Border => return None,
            _ => index.clamp(0, len - 1),
        };
    }
    Some(index)
}

/// The blended or nearest value of one channel.
pub fn model(both: &Both, how: &Sampler, dims: usize, at: [f32; 3], channel: usize) -> f64 {
    let size = both.image.size.map(i64::from);
    let at: [f64; 3] = std::array::from_fn(|axis| {
        let scale = if how.is_normalised { size[axis] } else { 1 };
        f64::from(at[axis]) * scale as f64
    });
    let texel = |place: [i64; 3]| {
        let mut inside = [0; 3];
        for axis in 0..dims {
            match walk(
                how.outside[axis],
                how.is_normalised,
                place[axis],
                size[axis],
            ) {
                Some(index) => inside[axis] = index,
                None => return f64::from(f32::from_bits(how.border[channel])),
            }
        }
        worth(both.image.channel, both.at(inside, channel))
    };
    if !how.is_blended {
        return texel(at.map(|at| at.floor() as i64));
    }
    let corner = at.map(|at| (at - 0.5).floor());
    let weights: [f64; 3] =
        std::array::from_fn(|axis| ((at[axis] - 0.5 - corner[axis]) * 256.0).round() / 256.0);
    let mut sum = 0.0;
    for which in 0..1 << dims {
        let mut weight = 1.0;
        let mut place = corner.map(|corner| corner as i64);
        for axis in 0..dims {
            let upper = which >> axis & 1;
            place[axis] += upper;
            weight *= if upper == 1 {
                weights[axis]
            } else {
                1.0 - weights[axis]
            };
        }
        sum += weight * texel(place);
    }
    sum
}

/// One kernel a shape and type: thread i reads three coordinates and writes four words.
pub fn fetches() -> String {
    let mut text = ".version 7.0\n.target sm_80\n.address_size 64\n".to_owned();
    for (shape, coordinates) in [
        ("1d", "%f1"),
        ("2d", "%f1, %f2"),
        ("3d", "%f1, %f2, %f3, %f3"),
    ] {
        for result in ["f32", "s32", "u32"] {
            let instruction = format!(
                "tex.{shape}.v4.{result}.f32 {{%r4, %r5, %r6, %r7}}, [%rd1, {{{coordinates}}}];"
            );
            text += &kernel(&format!("get_{shape}_{result}"), &instruction);
        }
    }
    text
}

/// Texture in %rd1, coordinates in %f1 to %f3 and as integers in %r1 to %r3, results in %r4 to %r7.
pub fn kernel(name: &str, instruction: &str) -> String {
    format!(
        ".visible .entry {name}(.param .u64 texture, .param .u64 places, .param .u64 target) {{
    .reg .u64 %rd<8>; .reg .b32 %r<12>; .reg .f32 %f<4>; .reg .b16 %h<4>;
    ld.param.u64 %rd1, [texture];
    ld.param.u64 %rd2, [places];
    ld.param.u64 %rd3, [target];
    mov.u32 %r8, %tid.x;
    mad.wide.u32 %rd4, %r8, 12, %rd2;
    mad.wide.u32 %rd5, %r8, 16, %rd3;
    ld.global.f32 %f1, [%rd4];
    ld.global.f32 %f2, [%rd4+4];
    ld.global.f32 %f3, [%rd4+8];
    mov.b32 %r1, %f1;
    mov.b32 %r2, %f2;
    mov.b32 %r3, %f3;
    mov.u32 %r4, 0;
    mov.u32 %r5, 0;
    mov.u32 %r6, 0;
    mov.u32 %r7, 0;
    {instruction}
    st.global.v4.u32 [%rd5], {{%r4, %r5, %r6, %r7}};
    ret;
}}
"
    )
}

/// Runs a kernel over some places; four words for each.
pub fn run(gpu: &mut Gpu, name: &str, texture: Texture, places: &[[f32; 3]]) -> Vec<[u32; 4]> {
    let objects = Objects {
        textures: vec![Arc::new(texture)],
        ..Objects::default()
    };
    gpu.images = Some(Box::new(objects));
    let flat: Vec<f32> = places.iter().flatten().copied().collect();
    let at = gpu.upload_singles(&flat);
    let target = gpu.allocate(16 * places.len());
    let arguments = [Arg::Long(1), Arg::Address(at), Arg::Address(target)];
    let block = [places.len() as u32, 1, 1];
    gpu.launch(name, [1, 1, 1], block, 0, &arguments).unwrap();
    let words = gpu.words(target, 4 * places.len());
    let texel = |four: &[u32]| [four[0], four[1], four[2], four[3]];
    words.chunks(4).map(texel).collect()
}

/// Places in and around an image, in multiples of 1/32 of a texel.
pub fn places(size: [u32; 3], normalised: bool, seed: u64) -> Vec<[f32; 3]> {
    let random = scattered(96, seed);
    let place = |three: &[u32]| {
        std::array::from_fn(|axis| {
            let len = size[axis];
            let steps = (three[axis] % (160 * len)) as f32 - 64.0 * len as f32;
            steps / 32.0 / if normalised { len as f32 } else { 1.0 }
        })
    };
    random.chunks(3).map(place).collect()
}

/// A texture whose texels are small whole numbers, in order.
pub fn counting(gpu: &Gpu, size: [u32; 3], layers: u32, first: f32) -> Image {
    let count = size.iter().product::<u32>() * layers;
    let values: Vec<f32> = (0..count).map(|index| first + index as f32).collect();
    let address = gpu.upload_singles(&values);
    Image {
        address,
        size,
        layers,
        pitch: u64::from(4 * size[0]),
        slice: u64::from(4 * size[0] * size[1]),
        channel: Channel::Single,
        channels: 1,
    }
}

pub fn of(levels: Vec<Image>, sampler: Sampler) -> Texture {
    Texture {
        levels,
        is_linear: false,
        sampler,
    }
}

pub fn singles(texels: &[[u32; 4]]) -> Vec<f32> {
    texels
        .iter()
        .map(|texel| f32::from_bits(texel[0]))
        .collect()
}
