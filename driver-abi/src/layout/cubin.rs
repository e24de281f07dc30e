//! Parameter layouts from a cubin: the `.nv.info.<kernel>` section of each kernel.
//!
//! ```text
//! section    records one after the other
//! record     0 format u8 | 1 attribute u8 | 2 value or size u16 | size bytes, in format 4 only
//! 17 KPARAM_INFO      u32 | ordinal u16 | offset u16 | u32 whose top 14 bits are the size
//! 45 KPARAM_INFO_V2   u32 | ordinal u16 | offset u16 | size u32
//! 19 CBANK_PARAM_SIZE the value is the total
//! ```

use std::collections::{HashMap, HashSet};

use object::LittleEndian;
use object::elf::{FileHeader64, SHT_SYMTAB, STT_FUNC, SectionHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};

use super::{KernelLayout, PARAMETERS_LEN_MAX, Parameter};
use crate::image::ImageError;

/// The kernels of a cubin, in the order of its symbol table. A cubin without kernels has none.
pub fn cubin_kernels(cubin: &[u8]) -> Result<Vec<KernelLayout>, ImageError> {
    let malformed = |what| move |_| ImageError::Malformed { what, offset: 0 };
    let header = FileHeader64::<LittleEndian>::parse(cubin).map_err(malformed("cubin header"))?;
    let sections = header
        .sections(LittleEndian, cubin)
        .map_err(malformed("cubin's table of sections"))?;
    let mut information: HashMap<&[u8], &SectionHeader64<LittleEndian>> = HashMap::new();
    for section in sections.iter() {
        let name = sections
            .section_name(LittleEndian, section)
            .unwrap_or_default();
        if let Some(kernel) = name.strip_prefix(INFORMATION_PREFIX) {
            information.insert(kernel, section);
        }
    }

    let symbols = sections
        .symbols(LittleEndian, cubin, SHT_SYMTAB)
        .map_err(malformed("cubin's table of symbols"))?;
    let (mut kernels, mut seen) = (Vec::new(), HashSet::new());
    for symbol in symbols.iter() {
        if symbol.st_type() != STT_FUNC || symbol.st_other().0 & OTHER_ENTRY == 0 {
            continue;
        }
        let name = symbols
            .symbol_name(LittleEndian, symbol)
            .map_err(malformed("cubin's name"))?;
        // Each name once: else a table of many symbols with one large section would multiply it.
        if !seen.insert(name) {
            continue;
        }
        let data = match information.get(name) {
            Some(section) => section.data(LittleEndian, cubin),
            None => Ok(&[][..]),
        };
        let data = data.map_err(malformed("cubin's kernel information"))?;
        if let (Some((parameters, total)), Ok(name)) = (layout(data), str::from_utf8(name)) {
            kernels.push(KernelLayout {
                name: name.to_owned(),
                parameters,
                total,
            });
        }
    }
    Ok(kernels)
}

/// Parameters and total size by the records of a kernel; `None` if they do not make sense. A
/// kernel without parameters has none of these records.
fn layout(mut records: &[u8]) -> Option<(Vec<Parameter>, u32)> {
    let mut by_ordinal = Vec::new();
    let mut total = None;
    while !records.is_empty() {
        let (&[format, attribute, low, high], rest) = records.split_first_chunk()?;
        let value = u16::from_le_bytes([low, high]);
        let size = if format == FORMAT_SIZED {
            usize::from(value)
        } else {
            0
        };
        let (content, rest) = rest.split_at_checked(size)?;
        records = rest;
        match (attribute, format) {
            (PARAMETER | PARAMETER_V2, FORMAT_SIZED) => {
                let &[_, _, _, _, o0, o1, at0, at1, s0, s1, s2, s3] = content.first_chunk()?;
                let word = u32::from_le_bytes([s0, s1, s2, s3]);
                let size = if attribute == PARAMETER {
                    word >> 18
                } else {
                    word
                };
                let offset = u32::from(u16::from_le_bytes([at0, at1]));
                by_ordinal.push((u16::from_le_bytes([o0, o1]), Parameter { offset, size }));
            }
            (TOTAL_SIZE, _) => total = Some(u32::from(value)),
            _ => {}
        }
    }
    by_ordinal.sort_unstable_by_key(|&(ordinal, _)| ordinal);
    let complete = by_ordinal
        .iter()
        .zip(0..)
        .all(|(&(ordinal, _), index)| ordinal == index);
    let parameters: Vec<Parameter> = by_ordinal.into_iter().map(|(_, one)| one).collect();
    let mut ends = parameters
        .iter()
        .map(|one| one.offset.checked_add(one.size));
    let end = ends.try_fold(0, |end, one| one.map(|one| end.max(one)))?;
    let total = total.unwrap_or(end);
    (complete && end <= total && total <= PARAMETERS_LEN_MAX).then_some((parameters, total))
}

/// With the dot, so that `.nv.merc.nv.info.` and the module's own `.nv.info` are others.
const INFORMATION_PREFIX: &[u8] = b".nv.info.";
/// Bit of a symbol's st_other that tells a kernel from a device function.
const OTHER_ENTRY: u8 = 0x10;
const FORMAT_SIZED: u8 = 4;
const PARAMETER: u8 = 0x17;
const PARAMETER_V2: u8 = 0x45;
const TOTAL_SIZE: u8 = 0x19;

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(attribute: u8, ordinal: u8, offset: u8, size: u32) -> Vec<u8> {
        let word = if attribute == PARAMETER {
            size << 18 | 0x1f000
        } else {
            size
        };
        let mut record = vec![4, attribute, 12, 0, 0, 0, 0, 0, ordinal, 0, offset, 0];
        record.extend(word.to_le_bytes());
        record
    }

    #[test]
    fn parameters_come_in_descending_order() {
        let records = [
            parameter(PARAMETER, 1, 4, 4),
            vec![1, 0x50, 0, 0],
            parameter(PARAMETER, 0, 0, 1),
            vec![3, TOTAL_SIZE, 8, 0],
        ];
        let (parameters, total) = layout(&records.concat()).unwrap();
        assert_eq!(total, 8);
        assert_eq!(
            parameters,
            [
                Parameter { offset: 0, size: 1 },
                Parameter { offset: 4, size: 4 }
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let missing = parameter(PARAMETER, 1, 4, 4);
        let twice = [parameter(PARAMETER, 0, 0, 4), parameter(PARAMETER, 0, 4, 4)].concat();
        let beyond = [parameter(PARAMETER, 0, 0, 4), vec![3, TOTAL_SIZE, 3, 0]].concat();
        let large = parameter(PARAMETER_V2, 0, 1, u32::MAX);
        let cut = vec![4, PARAMETER, 12, 0, 0];
        for records in [missing, twice, beyond, large, cut, vec![4]] {
            assert_eq!(layout(&records), None, "{records:?}");
        }
        assert_eq!(layout(&[]), Some((Vec::new(), 0)));
    }
}
