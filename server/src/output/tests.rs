//! A burst of text against a client that reads late.

use std::io::Write;

use flexdirect_transport::memory::pair;
use flexdirect_transport::{Destination, Error, Lanes, Sink};

use super::*;

/// More than a link queues, and than a pipe holds.
const TEXT_LEN: usize = 32 << 20;

/// The byte at a place of the text.
fn byte_at(at: usize) -> u8 {
    u8::try_from(at % 251).expect("less than 251")
}

/// A client that counts what it is told.
struct Client {
    memory: Vec<u8>,
    told: usize,
}

impl Sink for Client {
    fn batch(&mut self, _: &[u8]) -> Result<(), Error> {
        unreachable!("text only")
    }

    fn destination(&mut self, span: Span) -> Result<Destination, Error> {
        assert_eq!((span.region, span.offset), (region::OUTPUT, 0));
        let len = usize::try_from(span.len).unwrap();
        // SAFETY: the memory lives as long as the sink and is as long as a piece may be.
        Ok(unsafe { Destination::new(self.memory.as_mut_ptr(), len) })
    }

    fn landed(&mut self, span: Span) -> Result<(), Error> {
        let len = usize::try_from(span.len).unwrap();
        let first = self.told;
        for (at, &byte) in self.memory[..len].iter().enumerate() {
            assert_eq!(byte, byte_at(first + at), "byte {}", first + at);
        }
        self.told += len;
        Ok(())
    }

    fn side(&mut self, _: &[u8]) -> Result<(), Error> {
        unreachable!("text only")
    }
}

#[test]
fn a_client_that_reads_late_gets_all_of_a_burst() {
    let (near, far) = pair();
    let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let output = Output(Mutex::new(File::from(read)));
    let (output, link) = (&output, &*near);
    std::thread::scope(|scope| {
        let written = scope.spawn(move || {
            let mut text = File::from(write);
            let bytes: Vec<u8> = (0..TEXT_LEN).map(byte_at).collect();
            text.write_all(&bytes).unwrap();
        });
        scope.spawn(move || {
            while !written.is_finished() {
                output.tell(link);
            }
            output.tell(link);
        });
        let mut client = Client {
            memory: vec![0; OUTPUT_LEN_MAX],
            told: 0,
        };
        while client.told < TEXT_LEN {
            far.receive(Lanes::Both, &mut client).unwrap();
        }
    });
    assert_eq!(near.death().map(|death| death.to_string()), None);
}
