//! What a commune's administrator pastes into the shipper, with the feed's address and key in it.

use clap::ValueEnum;
use reqwest::Url;

use crate::{
    Failure,
    config::{Config, Transport},
};

/// Where records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shipper {
    Curl,
    Rsyslog,
    Nxlog,
    Winlogbeat,
    FluentBit,
    Vector,
    Sentinelone,
    Pradeo,
    Sekoia,
    Vade,
}

/// The port for syslog whose messages bear the key, where the configuration has no such listener.
const SYSLOG_PORT: u16 = 6515;

/// Where the centre's name is to be put in by hand, for want of `--send-to`.
const NAMELESS: &str = "adresse-du-centre";

impl Shipper {
    /// What most often sends records of this format.
    pub(crate) fn of_format(format: &str) -> Self {
        match format {
            "windows" | "auditbeat" => Self::Winlogbeat,
            "sentinelone" | "sentinelone-cloud-funnel" => Self::Sentinelone,
            "sekoia-alerts" => Self::Sekoia,
            "vade-secure-m365" => Self::Vade,
            "pradeo-mtd" => Self::Pradeo,
            "openssh" | "auditd" | "syslog" | "cef" | "leef" => Self::Rsyslog,
            _ => Self::Curl,
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::Curl => include_str!("snippets/curl.txt"),
            Self::Rsyslog => include_str!("snippets/rsyslog.txt"),
            Self::Nxlog => include_str!("snippets/nxlog.txt"),
            Self::Winlogbeat => include_str!("snippets/winlogbeat.txt"),
            Self::FluentBit => include_str!("snippets/fluent-bit.txt"),
            Self::Vector => include_str!("snippets/vector.txt"),
            Self::Sentinelone => include_str!("snippets/sentinelone.txt"),
            Self::Pradeo => include_str!("snippets/pradeo.txt"),
            Self::Sekoia => include_str!("snippets/sekoia.txt"),
            Self::Vade => include_str!("snippets/vade.txt"),
        }
    }
}

/// Where shippers reach the doors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendTo {
    url: Url,
    syslog_port: u16,
}

impl SendTo {
    /// The address that people gave, or the one that the configuration listens on.
    pub(crate) fn of(given: Option<Url>, config: &Config) -> Result<Self, Failure> {
        let url = match given {
            Some(url) => url,
            None => {
                let http = &config.ingest.http;
                let scheme = if http.tls.is_some() { "https" } else { "http" };
                let listen = http.listen;
                let text = match listen.ip().is_unspecified() {
                    // Every address of the machine is none that a sender could be given.
                    true => format!("{scheme}://{NAMELESS}:{}", listen.port()),
                    false => format!("{scheme}://{listen}"),
                };
                Url::parse(&text).map_err(|error| Failure::usage(format!("{text}: {error}")))?
            }
        };
        // The doors are at the root, and some shippers take a host and a port alone.
        let is_root = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let has_login = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || !is_root || has_login {
            return Err(Failure::usage(format!(
                "--send-to {}://…{}: give scheme, host and port alone, as shippers reach them, like https://soc.metropole.example",
                url.scheme(),
                url.path()
            )));
        }
        let keyed = config.ingest.syslog.iter().find(|door| {
            door.feed.is_none() && door.transport == Transport::Tcp && door.tls.is_none()
        });
        Ok(Self { url, syslog_port: keyed.map_or(SYSLOG_PORT, |door| door.listen.port()) })
    }

    /// What `shipper` is to be given to send with `key`.
    pub(crate) fn snippet(&self, shipper: Shipper, key: &str) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        let values = [
            ("{url}", self.url.as_str().trim_end_matches('/').to_owned()),
            ("{scheme}", self.url.scheme().to_owned()),
            ("{host}", self.url.host_str().unwrap_or_default().to_owned()),
            ("{port}", port.to_string()),
            ("{syslog_port}", self.syslog_port.to_string()),
            ("{tls}", if self.url.scheme() == "https" { "On" } else { "Off" }.to_owned()),
            ("{key}", key.to_owned()),
        ];
        values
            .iter()
            .fold(shipper.template().to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(url: &str) -> SendTo {
        SendTo::of(Some(url.parse().unwrap()), &Config::default()).unwrap()
    }

    #[test]
    fn nothing_is_left_to_fill_in_but_what_only_the_sender_knows() {
        let to = to("https://soc.metropole.example");
        for shipper in Shipper::value_variants() {
            let text = to.snippet(*shipper, "jqf_k");
            assert!(text.contains("jqf_k"), "{text}");
            assert!(text.contains("soc.metropole.example"), "{text}");
            for name in ["url", "scheme", "host", "port", "syslog_port", "tls", "key"] {
                assert!(!text.contains(&format!("{{{name}}}")), "{name}: {text}");
            }
        }
        // What `collect` is given can be read, but for the key that goes into a file.
        for shipper in [Shipper::Sentinelone, Shipper::Sekoia, Shipper::Vade] {
            let config: Config = toml::from_str(&to.snippet(shipper, "jqf_k")).unwrap();
            assert!(config.pull.sources[0].has_key());
            assert_eq!(config.pull.check(), Ok(()));
        }
        let winlogbeat = to.snippet(Shipper::Winlogbeat, "jqf_k");
        assert!(winlogbeat.contains("https://soc.metropole.example:443\""), "{winlogbeat}");
        assert!(to.snippet(Shipper::FluentBit, "k").contains("Tls              On"));
    }

    #[test]
    fn the_address_is_the_listeners_unless_one_is_given() {
        let config = Config::default();
        let own = SendTo::of(None, &config).unwrap();
        let text = own.snippet(Shipper::Curl, "k");
        assert!(text.contains(&format!("http://{}/ingest", config.ingest.http.listen)), "{text}");
        let mut open = Config::default();
        open.ingest.http.listen = "0.0.0.0:7080".parse().unwrap();
        let text = SendTo::of(None, &open).unwrap().snippet(Shipper::Curl, "k");
        assert!(text.contains("http://adresse-du-centre:7080/ingest"), "{text}");
        assert!(to("http://[::1]:7080/").snippet(Shipper::FluentBit, "k").contains("[::1]"));
        for wrong in [
            "ftp://a",
            "mailto:a@b",
            "https://a/ingest",
            "https://a/?b",
            "https://a/#b",
            "https://me:secret@a",
        ] {
            let error = SendTo::of(Some(wrong.parse().unwrap()), &config).unwrap_err();
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn rsyslogs_port_is_the_one_where_messages_bear_the_key() {
        let port = |config: &str| {
            let config: Config = toml::from_str(config).unwrap();
            let text = SendTo::of(None, &config).unwrap().snippet(Shipper::Rsyslog, "k");
            text.split_once("port=\"").unwrap().1.split('"').next().unwrap().to_owned()
        };
        assert_eq!(port(""), "6515");
        // Neither a feed's own, nor datagrams, nor TLS.
        let others = "[[ingest.syslog]]\nlisten = \"127.0.0.1:1\"\nfeed = \"f\"\n\
                      [[ingest.syslog]]\nlisten = \"127.0.0.1:2\"\ntransport = \"udp\"\n\
                      [[ingest.syslog]]\nlisten = \"127.0.0.1:3\"\n[ingest.syslog.tls]\n\
                      certificate_file = \"a\"\nkey_file = \"b\"\n";
        assert_eq!(port(others), "6515");
        assert_eq!(port(&format!("{others}[[ingest.syslog]]\nlisten = \"127.0.0.1:4\"\n")), "4");
    }
}
