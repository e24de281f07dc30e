//! Containers inside host files: what a linker is given of relocatable device code.
//!
//! nvcc puts a container in the section `__nv_relfatbin` (with `-rdc=true`) or `.nv_fatbin` of an
//! ELF object, several of them 8-byte aligned one after the other, and `nvcc -lib` makes an `ar`
//! archive of such objects.

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::container::container_len;
use super::{CONTAINERS_MAX, ImageError, check_len};

/// The containers of an ELF object file, in the order of its sections; none if it has no device
/// code.
///
/// # Errors
/// When the file, or a container in it, is malformed.
pub fn object_containers(file: &[u8]) -> Result<Vec<&[u8]>, ImageError> {
    let malformed = |what| ImageError::Malformed { what, offset: 0 };
    let header = FileHeader64::<LittleEndian>::parse(file);
    let header = header.map_err(|_| malformed("object file"))?;
    let sections = header
        .sections(LittleEndian, file)
        .map_err(|_| malformed("object file's table of sections"))?;
    let mut containers = Vec::new();
    for section in sections.iter() {
        let name = sections.section_name(LittleEndian, section);
        if !SECTIONS.contains(&name.unwrap_or_default()) {
            continue;
        }
        let data = section
            .data(LittleEndian, file)
            .map_err(|_| malformed("object file's section"))?;
        append(data, &mut containers)?;
    }
    Ok(containers)
}

/// The containers that lie one after another in a section.
fn append<'a>(mut rest: &'a [u8], containers: &mut Vec<&'a [u8]>) -> Result<(), ImageError> {
    loop {
        // Padding to the alignment of a container, or to the end of the section.
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        rest = &rest[zeros..];
        if rest.is_empty() {
            return Ok(());
        }
        let (container, after) = rest.split_at(container_len(rest)?);
        containers.push(container);
        check_len(
            "list of containers",
            containers.len() as u64,
            CONTAINERS_MAX as u64,
        )?;
        rest = after;
    }
}

/// The members of an `ar` archive in their order, without its tables of symbols and of names.
///
/// # Errors
/// When it is no archive, is a thin one (its members lie elsewhere), or is cut off.
pub fn archive_members(file: &[u8]) -> Result<Vec<&[u8]>, ImageError> {
    let malformed = |rest: &[u8]| ImageError::Malformed {
        what: "archive",
        offset: (file.len() - rest.len()) as u64,
    };
    let mut rest = file
        .strip_prefix(ARCHIVE_MAGIC)
        .ok_or_else(|| malformed(file))?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (header, content) = rest
            .split_first_chunk::<MEMBER_HEADER_LEN>()
            .ok_or_else(|| malformed(rest))?;
        let len = str::from_utf8(&header[48..58]).ok();
        let len = len.and_then(|text| text.trim_end().parse::<usize>().ok());
        let len = len
            .filter(|&len| header[58..] == *b"`\n" && len <= content.len())
            .ok_or_else(|| malformed(rest))?;
        let (member, after) = content.split_at(len);
        // "/" and "/SYM64/" are tables of symbols, "//" is the table of long names; a member's own
        // long name is "/" and a number.
        let name = header[..16].trim_ascii_end();
        let is_table = name == b"/" || name == b"//" || name == b"/SYM64/";
        if !is_table {
            members.push(member);
        }
        // Members start at even offsets.
        rest = after.get(len % 2..).unwrap_or_default();
    }
    Ok(members)
}

/// Whether a file is an `ar` archive with its members in it.
#[must_use]
pub fn is_archive(file: &[u8]) -> bool {
    file.starts_with(ARCHIVE_MAGIC)
}

const SECTIONS: [&[u8]; 2] = [b".nv_fatbin", b"__nv_relfatbin"];
const ARCHIVE_MAGIC: &[u8] = b"!<arch>\n";
const MEMBER_HEADER_LEN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{len:<10}`\n", 0, 0, 0, 644);
        let mut bytes = header.into_bytes();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
        bytes
    }

    #[test]
    fn an_archive_yields_its_members() {
        let archive = [
            ARCHIVE_MAGIC.to_vec(),
            member("/", b"symbols"),
            member("//", b"long_name.o/\n"),
            member("/0", b"first"),
            member("second.o/", b"second"),
        ]
        .concat();
        let members = archive_members(&archive).unwrap();
        assert_eq!(members, [&b"first"[..], b"second"]);
        assert!(is_archive(&archive));
        for len in 9..archive.len() - 1 {
            let cut = archive_members(&archive[..len]);
            let whole = cut.is_ok_and(|members| members.len() < 2);
            assert!(whole || archive_members(&archive[..len]).is_err(), "{len}");
        }
        assert!(archive_members(b"!<thin>\n").is_err());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(object_containers(b"").is_err());
        assert!(object_containers(&[0x7f; 100]).is_err());
        let mut containers = Vec::new();
        assert!(append(&[1; 40], &mut containers).is_err());
        append(&[0; 40], &mut containers).unwrap();
        assert!(containers.is_empty());
    }
}
