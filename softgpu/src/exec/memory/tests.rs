//! What lies in the arena or a window may be touched, and nothing else.

use super::*;

fn arena(words: &mut [u64]) -> Memory {
    // SAFETY: the caller keeps the slice alive and does not touch it while the arena is used.
    unsafe { Memory::new(words.as_mut_ptr().cast(), size_of_val(words)) }
}

#[test]
fn accesses_at_the_edges_are_checked() {
    let mut words = [0u64; 4];
    let memory = arena(&mut words);
    let base = memory.base();
    assert_eq!(memory.store(base + 24, 8, u64::MAX), Ok(()));
    assert_eq!(memory.load(base + 31, 1), Ok(0xff));
    assert_eq!(memory.load(base + 32, 1), Err(Bad::Address));
    assert_eq!(memory.load(base - 1, 1), Err(Bad::Address));
    assert_eq!(memory.load(base + 30, 4), Err(Bad::Address));
    assert_eq!(memory.load(base + 2, 4), Err(Bad::Alignment));
    assert_eq!(memory.load(0, 4), Err(Bad::Address));
    assert_eq!(memory.load(u64::MAX, 8), Err(Bad::Address));
}

#[test]
fn one_bad_lane_refuses_the_whole_row() {
    let mut words = [7u64; 16];
    let memory = arena(&mut words);
    let mut addresses = [0u64; LANES];
    for (lane, address) in addresses.iter_mut().enumerate() {
        *address = memory.base() + 4 * lane as u64;
    }
    let mut row = [0; LANES];
    assert!(memory.load_words(&addresses, &mut row));
    assert_eq!(row[..4], [7, 0, 7, 0]);
    addresses[31] += 4;
    assert!(!memory.load_words(&addresses, &mut row));
    addresses[31] -= 5;
    assert!(!memory.store_words(&addresses, &row));
}

#[test]
fn a_row_is_judged_like_its_lanes() {
    let (start, length) = (0x7000_0000_0000_u64, 4096);
    let ends = [0, start, start + length, 1 << 63, u64::MAX];
    let near = |end: u64| (0..20).map(move |step: u64| end.wrapping_add(step).wrapping_sub(10));
    for address in ends.into_iter().flat_map(near) {
        let offset = address.wrapping_sub(start);
        let is_good = offset < length && length - offset >= 4 && address % 4 == 0;
        for lane in [0, 7, 31] {
            let mut addresses = [start; LANES];
            addresses[lane] = address;
            assert_eq!(
                all_within(start, length, &addresses, 4),
                is_good,
                "{address:x}"
            );
        }
    }
}

#[test]
fn updates_return_the_old_value() {
    let mut words = [5u64; 1];
    let memory = arena(&mut words);
    assert_eq!(memory.update(memory.base(), 4, |old| old + 1), Ok(5));
    assert_eq!(memory.load(memory.base(), 8), Ok(6));
}

#[test]
fn windows_are_a_second_chance() {
    let (mut words, mut near, mut far) = ([1u64; 4], [0u64; 16], [5u64; 16]);
    let range = |words: &mut [u64]| {
        let start = words.as_mut_ptr().expose_provenance() as u64;
        (start, size_of_val(words) as u64)
    };
    let (first, second) = (range(&mut near), range(&mut far));
    let beyond = (u64::MAX - 7, 8);
    // SAFETY: the arrays outlive the launch-less use here and nothing else touches them.
    let windows = unsafe { Windows::new(vec![second, first, beyond], Vec::new(), Vec::new()) };
    let memory = arena(&mut words).with_windows(Arc::new(windows));
    for start in [first.0, second.0, first.0, memory.base()] {
        assert_eq!(memory.store(start + 8, 8, start), Ok(()));
        assert_eq!(memory.load(start + 8, 8), Ok(start));
        assert_eq!(memory.load(start + 10, 4), Err(Bad::Alignment));
    }
    let end = first.0.max(second.0) + 128;
    assert_eq!(memory.load(end, 1), Err(Bad::Address));
    assert_eq!(memory.load(first.0.min(second.0) - 1, 1), Err(Bad::Address));
    assert_eq!(memory.load(u64::MAX - 7, 8), Err(Bad::Address));
    assert_eq!(memory.update(second.0, 4, |old| old + 1), Ok(5));
    let mut addresses = [0u64; LANES];
    for (lane, address) in addresses.iter_mut().enumerate() {
        *address = second.0 + 4 * lane as u64;
    }
    let mut row = [0; LANES];
    assert!(memory.load_words(&addresses, &mut row));
    assert_eq!(row[..2], [6, 0]);
    addresses[7] = first.0;
    let straddles = first.0 + 128 == second.0 || second.0 + 128 == first.0;
    assert_eq!(
        memory.store_words(&addresses, &row),
        straddles,
        "not one window"
    );
}

#[test]
fn neighbouring_windows_are_one() {
    let ranges = vec![(8192, 4096), (4096, 4096), (20480, 4096), (0, 4), (5, 0)];
    // SAFETY: only looked up in.
    let windows = unsafe { Windows::new(ranges, Vec::new(), Vec::new()) };
    assert_eq!(windows.writable, [(4096, 8192), (20480, 4096)]);
    assert_eq!(windows.readable, windows.writable);
    let find = |address, hint| windows.find(address, 4, Access::Write, hint);
    assert_eq!(find(8190, 7), Some((0, (4096, 8192))));
    assert_eq!(find(12286, 0), None);
}

#[test]
fn what_is_only_read_is_not_written() {
    let (mut words, mut others) = ([1u64; 4], [7u64; 32]);
    let start = others.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the array outlives the launch-less use here and nothing else touches it.
    let windows = unsafe { Windows::new(vec![(start, 128)], vec![(start + 128, 128)], Vec::new()) };
    let memory = arena(&mut words).with_windows(Arc::new(windows));
    for (offset, may) in [(0, Ok(())), (120, Ok(())), (128, Err(Bad::Address))] {
        assert_eq!(memory.load(start + offset, 8), Ok(7));
        assert_eq!(memory.store(start + offset, 8, 7), may);
        assert_eq!(memory.update(start + offset, 8, |old| old).map(drop), may);
    }
    let row = |first| std::array::from_fn(|lane| first + 4 * lane as u64);
    let mut values = [0; LANES];
    assert!(
        memory.load_words(&row(start + 64), &mut values),
        "over the edge"
    );
    assert!(memory.store_words(&row(start), &values));
    assert!(!memory.store_words(&row(start + 4), &values));
}
