//! Which servers there are: the server list and where it is found.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::exit::{Code, Failure};

/// Address of a server as a person wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The addresses that the name stands for now.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

/// The servers that the command line, the environment or a file names, in this order.
pub(crate) fn find(list: Option<&str>, file: Option<&Path>) -> Result<Vec<Address>, Failure> {
    if let Some(list) = list {
        return parse_list(list).map_err(|text| Failure::new(Code::Usage, text));
    }
    let file = match file
        .map(Path::to_owned)
        .or_else(|| variable(VARIABLE).map(PathBuf::from))
    {
        Some(file) => file,
        None => usual_file()?,
    };
    let text = fs::read_to_string(&file).map_err(|error| {
        let text = format!(
            "cannot read the server list {}: {error}; name one with --servers",
            file.display()
        );
        Failure::new(Code::Usage, text)
    })?;
    let servers = parse_file(&text, &file.display().to_string())
        .map_err(|text| Failure::new(Code::Usage, text))?;
    if servers.is_empty() {
        let text = format!(
            "{} names no server; write one address per line",
            file.display()
        );
        return Err(Failure::new(Code::Usage, text));
    }
    Ok(servers)
}

/// The first of the usual files that exists.
fn usual_file() -> Result<PathBuf, Failure> {
    let home = variable("HOME").map(PathBuf::from);
    let usual: Vec<PathBuf> = USUAL
        .iter()
        .filter_map(|path| match path.strip_prefix("~/") {
            Some(rest) => home.as_ref().map(|home| home.join(rest)),
            None => Some(PathBuf::from(path)),
        })
        .collect();
    usual.into_iter().find(|path| path.exists()).ok_or_else(|| {
        let text = "no server is configured: write one address per line to \
                    ~/.flexdirect/servers.conf, or use --server_list; to use a GPU of this host: \
                    flexdirect local";
        Failure::new(Code::Unavailable, text)
    })
}

/// Reads a server list: one address per line, `#` comments, blank lines.
pub(crate) fn parse_file(text: &str, name: &str) -> Result<Vec<Address>, String> {
    let mut servers = Vec::new();
    for (line, number) in text.lines().zip(1_usize..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let address = parse_line(line).map_err(|reason| format!("{name}:{number}: {reason}"))?;
        if !servers.contains(&address) {
            servers.push(address);
        }
    }
    Ok(servers)
}

/// Reads `host:port;host:port`.
pub(crate) fn parse_list(list: &str) -> Result<Vec<Address>, String> {
    let mut servers = Vec::new();
    for part in list
        .split([';', ','])
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let address = parse_address(part).map_err(|reason| format!("server list: {reason}"))?;
        if !servers.contains(&address) {
            servers.push(address);
        }
    }
    if servers.is_empty() {
        return Err("the server list is empty: write it as 'host:port;host:port'".to_owned());
    }
    Ok(servers)
}

fn parse_line(line: &str) -> Result<Address, String> {
    if line.starts_with("servers:") || line.starts_with('-') || line.starts_with("addresses:") {
        return Err("YAML is not read; write one address per line".to_owned());
    }
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    match words.next() {
        Some(word) if !word.starts_with('#') => Err(format!("{word:?} after the address")),
        _ => parse_address(first),
    }
}

/// Reads `host`, `host:port`, `v6`, `[v6]` or `[v6]:port`.
pub(crate) fn parse_address(text: &str) -> Result<Address, String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| format!("{text:?} lacks a ]"))?;
        host.parse::<Ipv6Addr>()
            .map_err(|_| format!("{host:?} is no IPv6 address"))?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port),
            None if rest.is_empty() => None,
            None => return Err(format!("{rest:?} after the ]")),
        };
        (host, port)
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if !host.contains(':') {
        check_host(host)?;
    }
    let port = port.map_or(Ok(PORT), parse_port)?;
    Ok(Address {
        host: host.to_owned(),
        port,
    })
}

fn parse_port(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if is_number { text.parse().ok() } else { None };
    port.filter(|&port| port != 0).ok_or_else(|| {
        format!("{text:?} is no port (1 to 65535); IPv6 with a port is written [address]:port")
    })
}

/// Whether this can be the name or IPv4 address of a host.
fn check_host(host: &str) -> Result<(), String> {
    let is_name = host.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    });
    if !is_name || host.len() > 253 {
        return Err(format!("{host:?} is no host name"));
    }
    // A resolver takes 10.1.2 for 10.1.0.2, which nobody means.
    let is_numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(format!(
            "{host:?} is no IPv4 address: it needs four numbers from 0 to 255"
        ));
    }
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Port of a daemon.
pub(crate) const PORT: u16 = 56_001;

/// Environment variable with the path of a server list.
const VARIABLE: &str = "FLEXDIRECT_SERVERS";

/// Where server lists are looked for: the user's before the system's, the older names first, so
/// that an upgrade does not change the pool.
const USUAL: [&str; 6] = [
    "~/.bitfusion/servers.conf",
    "/etc/bitfusion/servers.conf",
    "~/.flexdirect/servers.conf",
    "/etc/flexdirect/servers.conf",
    "/etc/bitfusionio/servers.conf",
    "/etc/bitfusionio/adaptor.conf",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Vec<String> {
        parse_file(text, "f")
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn addresses_ports_comments_and_blank_lines() {
        let text = "### K80_servers.conf\n172.16.31.42:56001\n\n  gpu-1.example  # the new one\n\
                    ::1\n[fe80::1]:53334\r\ngpu_2:1\n172.16.31.42\n";
        assert_eq!(
            shown(text),
            [
                "172.16.31.42:56001",
                "gpu-1.example:56001",
                "[::1]:56001",
                "[fe80::1]:53334",
                "gpu_2:1"
            ]
        );
    }

    #[test]
    fn mistakes_are_told_with_file_and_line() {
        for (line, word) in [
            ("10.202.122", "four numbers"),
            ("10.0.0.256", "four numbers"),
            ("host:0", "no port"),
            ("host:65536", "no port"),
            ("host:+1", "no port"),
            ("host:", "no port"),
            (":1", "no host name"),
            ("ho st", "after the address"),
            ("[::1", "lacks"),
            ("[::1]1", "after the ]"),
            ("[host]", "no IPv6"),
            ("fe80::1:x", "no port"),
            ("- 10.0.0.1", "YAML"),
            ("servers:", "YAML"),
            ("reachable:10.2.0.1", "no port"),
            ("-host", "YAML"),
        ] {
            let error = parse_file(&format!("# list\n\n{line}\n"), "servers.conf").unwrap_err();
            assert!(error.starts_with("servers.conf:3: "), "{error}");
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn a_list_has_semicolons() {
        let list = parse_list("10.0.0.1:1; [::1]:2,host").unwrap();
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(list, ["10.0.0.1:1", "[::1]:2", "host:56001"]);
        assert!(parse_list(" ; ").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error_with_its_line(text in "[a-z0-9:.#\\[\\] \n;-]{0,80}") {
            match parse_file(&text, "f") {
                Ok(servers) => for server in servers {
                    prop_assert_eq!(parse_address(&server.to_string()), Ok(server));
                },
                Err(error) => prop_assert!(error.starts_with("f:"), "{}", error),
            }
        }

        #[test]
        fn any_address_is_read_as_it_is_written(v4: [u8; 4], v6: [u16; 8], port in 1_u16..) {
            for address in [SocketAddr::from((v4, port)), SocketAddr::from((v6, port))] {
                let shown = address.to_string();
                prop_assert_eq!(parse_address(&shown).map(|a| a.to_string()), Ok(shown));
            }
        }
    }
}
