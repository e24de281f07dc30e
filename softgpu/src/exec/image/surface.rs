//! Access to surfaces: unfiltered texels by byte or by index, with a rule for what lies outside.

use super::super::memory::{Bad, Memory};
use super::{Access, Bounds, Geometry, Image, Surface, Wrong};

impl Image {
    /// Does `op` at the given layer and coordinates. `values` are read or written.
    pub(super) fn access(
        &self,
        memory: &Memory,
        geometry: Geometry,
        op: Surface,
        (layer, place): (i32, [i32; 3]),
        values: &mut [u64; 4],
    ) -> Result<(), Wrong> {
        let Some(start) = self.place(geometry, op, layer, place)? else {
            if matches!(op.what, Access::Load) {
                *values = [0; 4];
            }
            return Ok(());
        };
        if op.formatted {
            return self.access_formatted(memory, op, start, values);
        }
        for (index, value) in values.iter_mut().take(op.count).enumerate() {
            let address = start.wrapping_add(u64::from(op.size) * index as u64);
            let done = match op.what {
                Access::Load => memory.load(address, op.size).map(|found| *value = found),
                Access::Store => memory.store(address, op.size, *value),
                Access::Reduce(unsigned, _) => {
                    let update = |old| unsigned(old, *value, 0);
                    memory.update(address, op.size, update).map(drop)
                }
            };
            done.map_err(|bad| Wrong::Memory(bad, address))?;
        }
        Ok(())
    }

    /// Values that are converted to the channels' kind; those that the texel lacks are left out.
    fn access_formatted(
        &self,
        memory: &Memory,
        op: Surface,
        start: u64,
        values: &mut [u64; 4],
    ) -> Result<(), Wrong> {
        let size = self.channel.size();
        let count = op.count.min(self.channels as usize);
        for (index, value) in values.iter().take(count).enumerate() {
            let address = start.wrapping_add(u64::from(size) * index as u64);
            let done = match op.what {
                Access::Reduce(unsigned, signed) => {
                    let function = if self.channel.is_signed() {
                        signed
                    } else {
                        unsigned
                    };
                    // Only whole words can be changed at once.
                    memory
                        .update(address, op.size.min(size), |old| function(old, *value, 0))
                        .map(drop)
                }
                _ => {
                    let bits = self.channel.formatted(*value as u32);
                    memory.store(address, size, u64::from(bits))
                }
            };
            done.map_err(|bad| Wrong::Memory(bad, address))?;
        }
        Ok(())
    }

    /// Address of an access; `None` if it lies outside and does nothing.
    fn place(
        &self,
        geometry: Geometry,
        op: Surface,
        layer: i32,
        [x, y, z]: [i32; 3],
    ) -> Result<Option<u64>, Wrong> {
        let (step, len) = if op.formatted {
            (1, 1)
        } else {
            (1, op.size * op.count as u32)
        };
        let row = if op.formatted {
            i64::from(self.size[0])
        } else {
            i64::from(self.size[0]) * i64::from(self.texel_len())
        };
        // The last place in a row at which an access of this length fits.
        let last = row - i64::from(len * step);
        let rows = if geometry.dimensions > 1 {
            i64::from(self.size[1]) - 1
        } else {
            0
        };
        let slices = if geometry.is_array {
            i64::from(self.layers) - 1
        } else if geometry.dimensions > 2 {
            i64::from(self.size[2]) - 1
        } else {
            0
        };
        let y = if geometry.dimensions > 1 { y } else { 0 };
        let z = match (geometry.is_array, geometry.dimensions) {
            (true, _) => layer,
            (false, 3) => z,
            _ => 0,
        };
        let wanted = [x, y, z].map(i64::from);
        let most = [last, rows, slices];
        let inside = (wanted.iter().zip(&most)).all(|(at, most)| (0..=*most).contains(at));
        let found = match op.bounds {
            _ if inside => wanted,
            Bounds::Trap => {
                let [x, y, z] = wanted.map(i64::cast_unsigned);
                let start = self.address_of(0, y, z);
                let texel = if op.formatted { self.texel_len() } else { 1 };
                let offset = x.wrapping_mul(u64::from(texel));
                return Err(Wrong::Outside(start.wrapping_add(offset)));
            }
            Bounds::Zero => return Ok(None),
            // Wider than a whole row: there is no nearest place.
            Bounds::Clamp if last < 0 => return Ok(None),
            Bounds::Clamp => {
                let clamped: [i64; 3] =
                    std::array::from_fn(|axis| wanted[axis].clamp(0, most[axis]));
                let len = i64::from(len);
                [clamped[0] / len * len, clamped[1], clamped[2]]
            }
        };
        let [x, y, z] = found.map(i64::cast_unsigned);
        if op.formatted {
            return Ok(Some(self.address_of(x, y, z)));
        }
        let address = self.address_of(0, y, z).wrapping_add(x);
        if x % u64::from(len) != 0 {
            return Err(Wrong::Memory(Bad::Alignment, address));
        }
        Ok(Some(address))
    }
}
