//! Choosing among the entries of a container, and saying what is there when nothing fits.

use std::fmt::Write;

use super::container::{Entry, EntryKind, entries};
use super::{DECODED_LEN_MAX, Image, ImageError, Kind, check_len};

/// The PTX text of a container to run on a device of this capability (80 for 8.0): the highest
/// not above it, else the lowest there is, for text above it may still be understood. Without its
/// null bytes. `None` if there is no PTX.
pub fn select_ptx(container: &[u8], capability: u32) -> Result<Option<Vec<u8>>, ImageError> {
    let mut best: Option<Entry<'_>> = None;
    for entry in entries(container)? {
        let entry = entry?;
        if entry.kind == EntryKind::PTX
            && best.is_none_or(|best| rank(&entry, capability) > rank(&best, capability))
        {
            best = Some(entry);
        }
    }
    best.map(|entry| Ok(text(&entry.decode()?).to_vec()))
        .transpose()
}

/// The PTX texts of a container that make up its module: the parts of a linked one, else the one
/// that [`select_ptx`] chooses, if there is any.
///
/// # Errors
/// Those of the container and of its entries' payloads.
pub fn module_ptx(container: &[u8], capability: u32) -> Result<Vec<Vec<u8>>, ImageError> {
    let (mut parts, mut len) = (Vec::new(), 0);
    for entry in entries(container)? {
        let entry = entry?;
        if !entry.is_part() {
            continue;
        }
        let part = text(&entry.decode()?).to_vec();
        len += part.len() as u64;
        check_len("PTX of an image", len, DECODED_LEN_MAX)?;
        parts.push(part);
    }
    if parts.is_empty() {
        parts.extend(select_ptx(container, capability)?);
    }
    Ok(parts)
}

/// Orders PTX by preference; text for all later architectures before that for one.
fn rank(entry: &Entry<'_>, capability: u32) -> (bool, i64, bool) {
    let fits = entry.architecture <= capability;
    let distance = i64::from(entry.architecture).abs_diff(i64::from(capability));
    let nearness = -i64::try_from(distance).expect("a difference of 32-bit numbers");
    (fits, nearness, !entry.is_specific())
}

/// Text up to its first null byte.
pub(super) fn text(payload: &[u8]) -> &[u8] {
    payload.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// One line that lists what is in an image, for the log line of CUDA_ERROR_NO_BINARY_FOR_GPU.
#[must_use]
pub fn describe(image: &Image) -> String {
    let payload_len = image.payload().len();
    match image.kind() {
        Kind::Cubin => return format!("cubin of {payload_len} bytes"),
        Kind::Ptx => return format!("PTX of {payload_len} bytes"),
        Kind::Fatbin | Kind::Linked => {}
    }
    let listed = image
        .containers()
        .filter_map(|container| entries(container).ok())
        .flatten();
    let (mut line, mut count) = (String::new(), 0usize);
    for entry in listed.flatten() {
        if count < LISTED_MAX {
            let comma = if count == 0 { "" } else { ", " };
            write!(line, "{comma}{}", describe_entry(&entry)).expect("a String takes all");
        }
        count += 1;
    }
    if count > LISTED_MAX {
        write!(line, " and {} more", count - LISTED_MAX).expect("a String takes all");
    }
    let form = if image.kind() == Kind::Linked {
        "linked fatbin"
    } else {
        "fatbin"
    };
    match count {
        0 => format!("{form} of {payload_len} bytes with no entries"),
        _ => format!("{form} of {payload_len} bytes with {line}"),
    }
}

fn describe_entry(entry: &Entry<'_>) -> String {
    let architecture = entry.architecture;
    let suffix = if entry.is_specific() { "-specific" } else { "" };
    let mut line = match entry.kind {
        EntryKind::PTX if entry.is_part() => "linked PTX".to_owned(),
        EntryKind::PTX => {
            let (major, minor) = entry.isa_version;
            format!("PTX {major}.{minor} compute_{architecture}{suffix}")
        }
        EntryKind::CUBIN => format!("cubin sm_{architecture}{suffix}"),
        EntryKind::LTO => format!("LTO-IR {architecture}{suffix}"),
        EntryKind(kind) => format!("kind {kind} for {architecture}{suffix}"),
    };
    if let Some(compression) = entry.compression() {
        write!(line, " ({compression})").expect("a String takes all");
    }
    line
}

const LISTED_MAX: usize = 24;
