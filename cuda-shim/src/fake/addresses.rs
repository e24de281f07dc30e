//! Addresses that the worker reserves: those that the test names, then those that are wanted.

use flexdirect_wire::body::Reserve;
use zerocopy::IntoBytes;

use super::Worker;

impl Worker {
    pub(super) fn reserve(&mut self, ask: &Reserve) -> Vec<u8> {
        let mut state = self.shared.lock();
        state.decoys.extend((ask.decoy != 0).then_some(ask.decoy));
        let address = state.addresses.pop().unwrap_or(ask.wanted);
        address.as_bytes().to_vec()
    }
}
