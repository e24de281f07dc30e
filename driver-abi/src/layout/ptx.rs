//! Parameter layouts from PTX text: a scanner that looks at the headers of `.entry` only.
//!
//! A parameter is `.param .TYPE name` or, for structures, `.param .align A .b8 name[N]`. It lies
//! at the end of the one before, rounded up to its alignment (PTX ISA, "Kernel Function
//! Parameters").

use super::{KernelLayout, PARAMETERS_LEN_MAX, Parameter};

/// The kernels of a PTX text, which may end in null bytes, in the order of the text. A kernel that
/// is declared first and defined later appears once.
#[must_use]
pub fn ptx_kernels(text: &[u8]) -> Vec<KernelLayout> {
    let mut tokens = Tokens { text };
    let mut kernels = Vec::new();
    let mut names = std::collections::HashSet::new();
    while let Some(token) = tokens.next() {
        if token != b".entry" {
            continue;
        }
        if let Some(kernel) = kernel(&mut tokens)
            && names.insert(kernel.name.clone())
        {
            kernels.push(kernel);
        }
    }
    kernels
}

/// Reads a kernel's name and parameters, from behind `.entry`.
fn kernel(tokens: &mut Tokens<'_>) -> Option<KernelLayout> {
    let name = str::from_utf8(tokens.next()?).ok()?.to_owned();
    let mut parameters = Vec::new();
    let mut total = 0u32;
    // Without parameters the list may be missing; what follows is then no business of ours, except
    // that the next kernel must not be swallowed: a look ahead, not a step.
    let mut ahead = tokens.clone();
    if ahead.next() != Some(b"(") {
        return Some(KernelLayout {
            name,
            parameters,
            total,
        });
    }
    *tokens = ahead;
    let mut declaration = Declaration::default();
    loop {
        let token = tokens.next()?;
        if token == b")" || token == b"," {
            // An empty list, or a trailing comma, declares nothing.
            if declaration.is_started {
                let (size, alignment) = declaration.size_and_alignment()?;
                let offset = total.checked_next_multiple_of(alignment)?;
                total = offset
                    .checked_add(size)
                    .filter(|&end| end <= PARAMETERS_LEN_MAX)?;
                parameters.push(Parameter { offset, size });
            }
            if token == b")" {
                return Some(KernelLayout {
                    name,
                    parameters,
                    total,
                });
            }
            declaration = Declaration::default();
        } else {
            declaration.read(token, tokens)?;
        }
    }
}

/// One parameter as far as it was read.
#[derive(Default)]
struct Declaration {
    is_started: bool,
    /// Behind `.ptr`, which starts the description of what a pointer points to.
    is_of_target: bool,
    type_size: Option<u32>,
    lanes: Option<u32>,
    alignment: Option<u32>,
    /// Product of the bounds of an array.
    count: Option<u32>,
}

impl Declaration {
    fn read(&mut self, token: &[u8], tokens: &mut Tokens<'_>) -> Option<()> {
        self.is_started = true;
        match token {
            b".ptr" => self.is_of_target = true,
            b".align" => {
                let alignment = number(tokens.next()?)?;
                if !self.is_of_target {
                    self.alignment = Some(alignment);
                }
            }
            b".v2" => self.lanes = Some(2),
            b".v4" => self.lanes = Some(4),
            b"[" => {
                let count = self
                    .count
                    .unwrap_or(1)
                    .checked_mul(number(tokens.next()?)?)?;
                self.count = Some(count);
                (tokens.next()? == b"]").then_some(())?;
            }
            _ => {
                // Whatever is no type (the name, `.param`, a state space) has no size.
                self.type_size = self.type_size.or_else(|| type_size(token));
            }
        }
        Some(())
    }

    fn size_and_alignment(&self) -> Option<(u32, u32)> {
        let element = self.type_size?.checked_mul(self.lanes.unwrap_or(1))?;
        let alignment = self.alignment.unwrap_or(element);
        let size = element.checked_mul(self.count.unwrap_or(1))?;
        alignment.is_power_of_two().then_some((size, alignment))
    }
}

/// Size of a fundamental or opaque type, in bytes.
fn type_size(token: &[u8]) -> Option<u32> {
    Some(match token {
        b".b8" | b".u8" | b".s8" => 1,
        b".b16" | b".u16" | b".s16" | b".f16" | b".bf16" => 2,
        b".b32" | b".u32" | b".s32" | b".f32" | b".f16x2" | b".bf16x2" => 4,
        b".b64" | b".u64" | b".s64" | b".f64" | b".texref" | b".samplerref" | b".surfref" => 8,
        b".b128" => 16,
        _ => return None,
    })
}

/// An integer in decimal, hexadecimal, octal or binary, as PTX writes it.
fn number(token: &[u8]) -> Option<u32> {
    let digits = str::from_utf8(token).ok()?.trim_end_matches('U');
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', b'b' | b'B', ..] => (&digits[2..], 2),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    u32::from_str_radix(digits, radix).ok()
}

/// Splits text into words and single signs; comments and strings are passed over.
#[derive(Clone)]
struct Tokens<'a> {
    text: &'a [u8],
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let start = self
                .text
                .iter()
                .position(|byte| !byte.is_ascii_whitespace())?;
            self.text = &self.text[start..];
            match self.text {
                [0, ..] => return None,
                [b'/', b'/', ..] => self.skip_past(b"\n", 2),
                [b'/', b'*', ..] => self.skip_past(b"*/", 2),
                [b'"', ..] => self.skip_past(b"\"", 1),
                _ => {
                    let len = self.text.iter().position(|&byte| !is_word(byte));
                    let len = len.unwrap_or(self.text.len()).max(1);
                    let (token, rest) = self.text.split_at(len);
                    self.text = rest;
                    return Some(token);
                }
            }
        }
    }
}

impl Tokens<'_> {
    /// Drops the text up to and with `end`, looked for from `from` on; all of it without `end`.
    fn skip_past(&mut self, end: &[u8], from: usize) {
        let found = self.text[from..]
            .windows(end.len())
            .position(|window| window == end);
        let len = found.map_or(self.text.len(), |at| from + at + end.len());
        self.text = &self.text[len..];
    }
}

/// Directives and types start with a dot, names may hold `$`, `%` and `_`.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'%' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(list: &str) -> Option<(Vec<(u32, u32)>, u32)> {
        let text = format!(".version 9.0\n.visible .entry kernel({list})\n{{ ret; }}\n");
        let mut kernels = ptx_kernels(text.as_bytes());
        assert!(kernels.len() <= 1);
        let kernel = kernels.pop()?;
        assert_eq!(kernel.name, "kernel");
        let parameters = kernel.parameters.iter().map(|one| (one.offset, one.size));
        Some((parameters.collect(), kernel.total))
    }

    #[test]
    fn scalars_and_structures() {
        let list = ".param .u8 a, .param .u16 b, .param .align 8 .b8 c[24],\n
            .param .align 4 .b8 d[12], .param .u64 e, .param .u8 f";
        let expected = vec![(0, 1), (2, 2), (8, 24), (32, 12), (48, 8), (56, 1)];
        assert_eq!(one(list), Some((expected, 57)));
    }

    #[test]
    fn the_alignment_behind_ptr_is_the_targets() {
        let list = ".param .u32 n, .param .u64 .ptr .global .align 16 p, .param .b64 .ptr q";
        assert_eq!(one(list), Some((vec![(0, 4), (8, 8), (16, 8)], 24)));
    }

    #[test]
    fn vectors_arrays_and_opaque_types() {
        let list = ".param .v4 .f32 v, .param .texref t, .param .f32 a[0x3], .param .s8 m[2][010]";
        assert_eq!(
            one(list),
            Some((vec![(0, 16), (16, 8), (24, 12), (36, 16)], 52))
        );
    }

    #[test]
    fn comments_and_strings_are_passed_over() {
        let list = "/* ) .param .u8 x, */ .param .u32 a // , .param .u64 b )\n";
        assert_eq!(one(list), Some((vec![(0, 4)], 4)));
        let text = b"// .entry no()\n .file 1 \"a .entry no() b\"\n/* .entry no() */";
        assert_eq!(ptx_kernels(text), []);
    }

    #[test]
    fn no_list_an_empty_list_and_a_declaration_before() {
        let text = b".entry a .maxntid 1 {}\n.entry b () {}\n.extern .entry c(.param .u32 x);
            .entry c(.param .u32 x) {}\n .entry d .entry e";
        let names: Vec<_> = ptx_kernels(text)
            .into_iter()
            .map(|kernel| kernel.name)
            .collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        assert_eq!(one(".param .u7 a"), None);
        assert_eq!(one(".param .align 3 .b8 a[3]"), None);
        assert_eq!(one(".param .b8 a[4294967295], .param .b8 b[2]"), None);
        assert_eq!(one(".param .b8 a[]"), None);
        let text = b".entry a(.param .odd x) {} .entry b(.param .u8 x) {} .entry c(.param .u8 x";
        let names: Vec<_> = ptx_kernels(text)
            .into_iter()
            .map(|kernel| kernel.name)
            .collect();
        assert_eq!(names, ["b"]);
    }

    proptest! {
        /// Offsets follow from sizes and alignments, whatever the order of the types.
        #[test]
        fn offsets_are_aligned_and_disjoint(kinds in prop::collection::vec(0usize..6, 0..40)) {
            let types = [(".u8", 1), (".f16", 2), (".b32", 4), (".f64", 8), (".b128", 16)];
            let list: Vec<_> = kinds.iter().enumerate().map(|(index, &kind)| match types.get(kind) {
                Some((name, _)) => format!(".param {name} p{index}"),
                None => format!(".param .align 4 .b8 p{index}[7]"),
            }).collect();
            let (parameters, total) = one(&list.join(",\n")).unwrap();
            prop_assert_eq!(parameters.len(), kinds.len());
            let mut end = 0;
            for (&(offset, size), &kind) in parameters.iter().zip(&kinds) {
                let (wanted, alignment) = types.get(kind).map_or((7, 4), |&(_, size)| (size, size));
                prop_assert!(offset >= end && offset < end + alignment && offset % alignment == 0);
                prop_assert_eq!(size, wanted);
                end = offset + size;
            }
            prop_assert_eq!(total, end);
        }

        #[test]
        fn any_text_is_scanned(text in "[ -~\n]{0,200}", list in "[.,()\\[\\]a-z0-9 ]{0,60}") {
            drop(ptx_kernels(text.as_bytes()));
            one(&format!(".param {list}"));
        }
    }
}
