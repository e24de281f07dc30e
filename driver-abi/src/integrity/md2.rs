//! MD2 (RFC 1319) and HMAC over it (RFC 2104), because the integrity answer is made of them.
//!
//! MD2 is broken as a hash and protects nothing here; it is spoken because the other side does.

/// Length of an MD2 digest and of an MD2 block, in bytes. HMAC's block size is the same.
pub(super) const DIGEST_LEN: usize = 16;

/// The MD2 digest of the concatenated `parts` (RFC 1319, section 3).
pub(super) fn md2(parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
    let mut state = State::default();
    for part in parts {
        for &byte in *part {
            state.push(byte);
        }
    }
    state.finish()
}

/// HMAC-MD2 of `message` under a key of exactly one block (RFC 2104, section 2).
pub(super) fn hmac_md2(key: &[u8; DIGEST_LEN], message: &[u8]) -> [u8; DIGEST_LEN] {
    let inner = md2(&[&key.map(|byte| byte ^ 0x36), message]);
    md2(&[&key.map(|byte| byte ^ 0x5c), &inner])
}

/// A digest under way.
#[derive(Default)]
struct State {
    /// The 48-byte work area is rebuilt from these 16 bytes for each block.
    digest: [u8; DIGEST_LEN],
    checksum: [u8; DIGEST_LEN],
    block: [u8; DIGEST_LEN],
    filled: usize,
}

impl State {
    fn push(&mut self, byte: u8) {
        self.block[self.filled] = byte;
        self.filled += 1;
        if self.filled == DIGEST_LEN {
            self.filled = 0;
            self.add_to_checksum();
            self.compress();
        }
    }

    fn finish(mut self) -> [u8; DIGEST_LEN] {
        // Padding is 1 to 16 bytes that each hold its length; then the checksum as a block.
        let padding = u8::try_from(DIGEST_LEN - self.filled).expect("at most 16");
        for _ in 0..padding {
            self.push(padding);
        }
        self.block = self.checksum;
        self.compress();
        self.digest
    }

    fn add_to_checksum(&mut self) {
        let mut last = self.checksum[DIGEST_LEN - 1];
        for (sum, byte) in self.checksum.iter_mut().zip(self.block) {
            *sum ^= SUBSTITUTION[usize::from(byte ^ last)];
            last = *sum;
        }
    }

    fn compress(&mut self) {
        let mut work = [0; 3 * DIGEST_LEN];
        for index in 0..DIGEST_LEN {
            work[index] = self.digest[index];
            work[DIGEST_LEN + index] = self.block[index];
            work[2 * DIGEST_LEN + index] = self.block[index] ^ self.digest[index];
        }
        let mut carry = 0u8;
        for round in 0..18u8 {
            for byte in &mut work {
                *byte ^= SUBSTITUTION[usize::from(carry)];
                carry = *byte;
            }
            carry = carry.wrapping_add(round);
        }
        self.digest.copy_from_slice(&work[..DIGEST_LEN]);
    }
}

/// The permutation of RFC 1319, section 3.2: a shuffle of 0 to 255 driven by the digits of pi.
#[rustfmt::skip]
const SUBSTITUTION: [u8; 256] = [
    0x29, 0x2e, 0x43, 0xc9, 0xa2, 0xd8, 0x7c, 0x01, 0x3d, 0x36, 0x54, 0xa1, 0xec, 0xf0, 0x06, 0x13,
    0x62, 0xa7, 0x05, 0xf3, 0xc0, 0xc7, 0x73, 0x8c, 0x98, 0x93, 0x2b, 0xd9, 0xbc, 0x4c, 0x82, 0xca,
    0x1e, 0x9b, 0x57, 0x3c, 0xfd, 0xd4, 0xe0, 0x16, 0x67, 0x42, 0x6f, 0x18, 0x8a, 0x17, 0xe5, 0x12,
    0xbe, 0x4e, 0xc4, 0xd6, 0xda, 0x9e, 0xde, 0x49, 0xa0, 0xfb, 0xf5, 0x8e, 0xbb, 0x2f, 0xee, 0x7a,
    0xa9, 0x68, 0x79, 0x91, 0x15, 0xb2, 0x07, 0x3f, 0x94, 0xc2, 0x10, 0x89, 0x0b, 0x22, 0x5f, 0x21,
    0x80, 0x7f, 0x5d, 0x9a, 0x5a, 0x90, 0x32, 0x27, 0x35, 0x3e, 0xcc, 0xe7, 0xbf, 0xf7, 0x97, 0x03,
    0xff, 0x19, 0x30, 0xb3, 0x48, 0xa5, 0xb5, 0xd1, 0xd7, 0x5e, 0x92, 0x2a, 0xac, 0x56, 0xaa, 0xc6,
    0x4f, 0xb8, 0x38, 0xd2, 0x96, 0xa4, 0x7d, 0xb6, 0x76, 0xfc, 0x6b, 0xe2, 0x9c, 0x74, 0x04, 0xf1,
    0x45, 0x9d, 0x70, 0x59, 0x64, 0x71, 0x87, 0x20, 0x86, 0x5b, 0xcf, 0x65, 0xe6, 0x2d, 0xa8, 0x02,
    0x1b, 0x60, 0x25, 0xad, 0xae, 0xb0, 0xb9, 0xf6, 0x1c, 0x46, 0x61, 0x69, 0x34, 0x40, 0x7e, 0x0f,
    0x55, 0x47, 0xa3, 0x23, 0xdd, 0x51, 0xaf, 0x3a, 0xc3, 0x5c, 0xf9, 0xce, 0xba, 0xc5, 0xea, 0x26,
    0x2c, 0x53, 0x0d, 0x6e, 0x85, 0x28, 0x84, 0x09, 0xd3, 0xdf, 0xcd, 0xf4, 0x41, 0x81, 0x4d, 0x52,
    0x6a, 0xdc, 0x37, 0xc8, 0x6c, 0xc1, 0xab, 0xfa, 0x24, 0xe1, 0x7b, 0x08, 0x0c, 0xbd, 0xb1, 0x4a,
    0x78, 0x88, 0x95, 0x8b, 0xe3, 0x63, 0xe8, 0x6d, 0xe9, 0xcb, 0xd5, 0xfe, 0x3b, 0x00, 0x1d, 0x39,
    0xf2, 0xef, 0xb7, 0x0e, 0x66, 0x58, 0xd0, 0xe4, 0xa6, 0x77, 0x72, 0xf8, 0xeb, 0x75, 0x4b, 0x0a,
    0x31, 0x44, 0x50, 0xb4, 0x8f, 0xed, 0x1f, 0x1a, 0xdb, 0x99, 0x8d, 0x33, 0x9f, 0x11, 0x83, 0x14,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: [u8; DIGEST_LEN]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_test_suite_of_rfc_1319() {
        let digits =
            b"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        let cases: [(&[u8], &str); 7] = [
            (b"", "8350e5a3e24c153df2275c9f80692773"),
            (b"a", "32ec01ec4a6dac72c0ab96fb34c0b5d1"),
            (b"abc", "da853b0d3f88d99b30283a69e6ded6bb"),
            (b"message digest", "ab4f496bfb2a530b219ff33031fe06b0"),
            (
                b"abcdefghijklmnopqrstuvwxyz",
                "4e8ddff3650292ab5a4108c3aa47940b",
            ),
            (
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "da33def2a42df13975352846c30338cd",
            ),
            (digits, "d5976f79d83d3a0dc9806c3c66f3efd8"),
        ];
        for (message, digest) in cases {
            assert_eq!(hex(md2(&[message])), digest);
        }
    }

    #[test]
    fn parts_are_one_message() {
        assert_eq!(
            md2(&[b"message ", b"", b"digest"]),
            md2(&[b"message digest"])
        );
    }

    #[test]
    fn the_substitution_is_a_permutation() {
        let mut seen = SUBSTITUTION;
        seen.sort_unstable();
        assert!(
            seen.iter()
                .zip(0..=255u8)
                .all(|(&found, wanted)| found == wanted)
        );
    }
}
