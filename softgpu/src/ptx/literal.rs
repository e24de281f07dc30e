//! Numbers as PTX writes them: decimal, hexadecimal, octal, binary, and floats by their bits.

use super::Operand;

/// The value of the literal `text`; `None` if it is none or does not fit 64 bits.
pub(super) fn number(text: &str) -> Option<Operand> {
    let lower = text.to_ascii_lowercase();
    if let Some(bits) = lower.strip_prefix("0f") {
        return (bits.len() == 8)
            .then(|| u32::from_str_radix(bits, 16).ok().map(Operand::Single))?;
    }
    if let Some(bits) = lower.strip_prefix("0d") {
        return (bits.len() == 16)
            .then(|| u64::from_str_radix(bits, 16).ok().map(Operand::Double))?;
    }
    if !lower.starts_with("0x") && lower.contains(['.', 'e']) {
        return lower
            .parse::<f64>()
            .ok()
            .map(|value| Operand::Double(value.to_bits()));
    }
    integer(&lower).map(Operand::Integer)
}

/// The value of an integer literal.
pub(super) fn integer(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.strip_suffix('u').unwrap_or(&lower);
    let (digits, radix) = if let Some(rest) = digits.strip_prefix("0x") {
        (rest, 16)
    } else if let Some(rest) = digits.strip_prefix("0b") {
        (rest, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    };
    // from_str_radix takes a sign, which no literal token has.
    u64::from_str_radix(digits, radix).ok()
}

/// The literal with its sign turned round.
pub(super) fn negated(value: Operand) -> Operand {
    match value {
        Operand::Integer(value) => Operand::Integer(value.wrapping_neg()),
        Operand::Single(bits) => Operand::Single(bits ^ (1 << 31)),
        Operand::Double(bits) => Operand::Double(bits ^ (1 << 63)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_radix_and_both_float_forms_are_read() {
        assert_eq!(number("42"), Some(Operand::Integer(42)));
        assert_eq!(number("0x2A"), Some(Operand::Integer(42)));
        assert_eq!(number("052"), Some(Operand::Integer(42)));
        assert_eq!(number("0b101010U"), Some(Operand::Integer(42)));
        assert_eq!(
            number("0f3F800000"),
            Some(Operand::Single(1.0f32.to_bits()))
        );
        assert_eq!(
            number("0d3FF0000000000000"),
            Some(Operand::Double(1.0f64.to_bits()))
        );
        assert_eq!(number("1.5e2"), Some(Operand::Double(150.0f64.to_bits())));
        assert_eq!(
            number("18446744073709551615"),
            Some(Operand::Integer(u64::MAX))
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "18446744073709551616",
            "0xg",
            "09",
            "0f3F",
            "1a",
            "0x",
            "1.2.3",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
