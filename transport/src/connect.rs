//! Choosing a link: the one list of mechanisms, and what both ends can do.
//!
//! Every mechanism starts from two connected sockets on which hello has been exchanged; each end
//! has told the other which mechanisms it has. A new transport is one file and one line in
//! [`LINKS`]; the link suite picks it up from there.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::link::Link;
use crate::tcp::{self, Options, TcpLink};

/// Every mechanism, the best first.
pub const LINKS: &[Mechanism] = &[Mechanism {
    name: tcp::NAME,
    available: |_| Ok(()),
    establish: |streams, options| Ok(TcpLink::new(streams.main, streams.side, options)?),
}];

/// One way to make a link.
#[derive(Clone, Copy, Debug)]
pub struct Mechanism {
    /// Name as users see it, and as hello says it.
    pub name: &'static str,
    /// Whether this end can use it with that peer; if not, why, in words for people.
    pub available: fn(&Peer) -> Result<(), String>,
    /// Makes this end of the link; the peer does the same at the other ends of the streams.
    pub establish: fn(Streams, Options) -> io::Result<Arc<dyn Link>>,
}

/// The two connected sockets that every link starts from.
#[derive(Debug)]
pub struct Streams {
    /// The one that hello was exchanged on.
    pub main: TcpStream,
    /// A second one to the same process.
    pub side: TcpStream,
}

/// What is known of the other end.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Names of the mechanisms that it can use.
    pub links: Vec<String>,
    /// Whether it runs on this host.
    pub same_host: bool,
}

/// What the user asked for (`--transport`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The best that both ends can use.
    #[default]
    Auto,
    /// This one or none.
    Named(String),
}

/// A mechanism and why it was chosen; displayed as "tcp (verbs: no RDMA device on this host)".
#[derive(Clone, Debug)]
pub struct Chosen {
    /// What was chosen.
    pub mechanism: &'static Mechanism,
    /// Why, in words for people.
    pub reason: String,
}

/// There is no link to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing that both ends can use.
    #[error("no transport that both ends can use ({0})")]
    NoneInCommon(String),
    /// What was asked for cannot be used.
    #[error("transport {name} cannot be used: {reason}")]
    Unavailable {
        /// What was asked for.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// What was asked for does not exist.
    #[error("no transport is called {name:?}; there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may be asked for.
        known: String,
    },
}

/// Chooses the mechanism for a link to `peer`.
///
/// # Errors
/// A [`Refusal`] that names what was asked for and why it cannot be had.
pub fn choose(requested: &Choice, peer: &Peer) -> Result<Chosen, Refusal> {
    choose_from(LINKS, requested, peer)
}

/// Names of the mechanisms that this end can use with `peer`, for hello.
pub fn available(peer: &Peer) -> Vec<&'static str> {
    LINKS
        .iter()
        .filter(|link| (link.available)(peer).is_ok())
        .map(|link| link.name)
        .collect()
}

impl std::str::FromStr for Choice {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text == AUTO {
            return Ok(Self::Auto);
        }
        if LINKS.iter().any(|link| link.name == text) {
            return Ok(Self::Named(text.to_owned()));
        }
        Err(unknown(LINKS, text))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => out.write_str(AUTO),
            Self::Named(name) => out.write_str(name),
        }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.mechanism.name, self.reason)
    }
}

/// Both ends of a connection over loopback, for suites and benches.
///
/// # Errors
/// What the system says when it refuses a socket.
pub fn loopback() -> io::Result<(Streams, Streams)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let connect = || -> io::Result<(TcpStream, TcpStream)> {
        let near = TcpStream::connect(listener.local_addr()?)?;
        // Anyone on this host may connect: only the connection made above is taken.
        loop {
            let (far, from) = listener.accept()?;
            if from == near.local_addr()? {
                return Ok((near, far));
            }
        }
    };
    let (near_main, far_main) = connect()?;
    let (near_side, far_side) = connect()?;
    let near = Streams {
        main: near_main,
        side: near_side,
    };
    Ok((
        near,
        Streams {
            main: far_main,
            side: far_side,
        },
    ))
}

/// Both ends of a link of this mechanism within this process, for suites and benches.
///
/// # Errors
/// What the system says when it refuses what the mechanism needs.
pub fn pair(mechanism: &Mechanism, options: Options) -> io::Result<(Arc<dyn Link>, Arc<dyn Link>)> {
    let (near, far) = loopback()?;
    // Each end may wait for the other while it is made.
    std::thread::scope(|scope| {
        let far = scope.spawn(move || (mechanism.establish)(far, options));
        let near = (mechanism.establish)(near, options);
        let far = far
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((near?, far?))
    })
}

fn choose_from(
    links: &'static [Mechanism],
    requested: &Choice,
    peer: &Peer,
) -> Result<Chosen, Refusal> {
    if let Choice::Named(name) = requested {
        let mechanism = links.iter().find(|link| link.name == name);
        let mechanism = mechanism.ok_or_else(|| unknown(links, name))?;
        return match usable(mechanism, peer) {
            Ok(()) => Ok(Chosen {
                mechanism,
                reason: "as asked".to_owned(),
            }),
            Err(reason) => Err(Refusal::Unavailable {
                name: name.clone(),
                reason,
            }),
        };
    }
    let mut skipped = Vec::new();
    for mechanism in links {
        match usable(mechanism, peer) {
            Ok(()) if skipped.is_empty() => {
                let reason = "the first choice that both ends have".to_owned();
                return Ok(Chosen { mechanism, reason });
            }
            Ok(()) => {
                return Ok(Chosen {
                    mechanism,
                    reason: skipped.join("; "),
                });
            }
            Err(reason) => skipped.push(format!("{}: {reason}", mechanism.name)),
        }
    }
    Err(Refusal::NoneInCommon(skipped.join("; ")))
}

fn usable(mechanism: &Mechanism, peer: &Peer) -> Result<(), String> {
    (mechanism.available)(peer)?;
    if peer.links.iter().any(|name| name == mechanism.name) {
        Ok(())
    } else {
        Err("not offered by the peer".to_owned())
    }
}

fn unknown(links: &[Mechanism], name: &str) -> Refusal {
    let known = links
        .iter()
        .map(|link| link.name)
        .collect::<Vec<_>>()
        .join(", ");
    Refusal::Unknown {
        name: name.to_owned(),
        known: format!("{AUTO}, {known}"),
    }
}

/// How a user asks for the best.
const AUTO: &str = "auto";

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[Mechanism] = &[
        Mechanism {
            name: "local",
            available: |peer| {
                if peer.same_host {
                    Ok(())
                } else {
                    Err("peer is on another host".to_owned())
                }
            },
            establish: |_, _| Err(io::ErrorKind::Unsupported.into()),
        },
        Mechanism {
            name: "distant",
            available: |_| Ok(()),
            establish: |_, _| Err(io::ErrorKind::Unsupported.into()),
        },
    ];

    fn peer(links: &[&str], same_host: bool) -> Peer {
        Peer {
            links: links.iter().map(|&link| link.to_owned()).collect(),
            same_host,
        }
    }

    #[test]
    fn auto_takes_the_first_that_both_have() {
        let both = ["distant", "local"];
        let chosen = choose_from(TWO, &Choice::Auto, &peer(&both, true)).unwrap();
        assert_eq!(chosen.mechanism.name, "local");
        let chosen = choose_from(TWO, &Choice::Auto, &peer(&both, false)).unwrap();
        assert_eq!(
            chosen.to_string(),
            "distant (local: peer is on another host)"
        );
        let chosen = choose_from(TWO, &Choice::Auto, &peer(&["distant"], true)).unwrap();
        assert_eq!(
            chosen.to_string(),
            "distant (local: not offered by the peer)"
        );
    }

    #[test]
    fn named_is_taken_or_refused_with_the_reason() {
        let named = Choice::Named("local".to_owned());
        assert_eq!(
            choose_from(TWO, &named, &peer(&["local"], true))
                .unwrap()
                .to_string(),
            "local (as asked)"
        );
        let refusal = choose_from(TWO, &named, &peer(&["local"], false)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "transport local cannot be used: peer is on another host"
        );
        let refusal = choose_from(TWO, &Choice::Named("x".to_owned()), &peer(&[], true));
        assert!(matches!(refusal, Err(Refusal::Unknown { .. })));
    }

    #[test]
    fn nothing_in_common_says_why_for_each() {
        let refusal = choose_from(TWO, &Choice::Auto, &peer(&[], false)).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("local: peer is on another host"), "{text}");
        assert!(text.contains("distant: not offered by the peer"), "{text}");
    }

    #[test]
    fn names_read_back() {
        for text in ["auto", "tcp"] {
            assert_eq!(text.parse::<Choice>().unwrap().to_string(), text);
        }
        assert_eq!(
            "smoke".parse::<Choice>().unwrap_err().to_string(),
            "no transport is called \"smoke\"; there are auto, tcp"
        );
    }
}
