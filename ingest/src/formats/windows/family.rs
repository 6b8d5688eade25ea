//! Which channels are read alike, and the events that are known of each.

use super::{channels, rule::Rule, security, sysmon};
use crate::formats::mapping::Table;

/// Channels that are read alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    Sysmon,
    Security,
    PowerShell,
    PowerShellClassic,
    Defender,
    System,
    Services,
    Tasks,
    Transfers,
    WmiActivity,
    RemoteDesktop,
    AppControl,
    Other,
}

/// Every family with what its events have in common, and its events.
pub(super) const FAMILIES: &[(Family, Table, &[Rule])] = &[
    (Family::Sysmon, sysmon::COMMON, sysmon::RULES),
    (Family::Security, security::COMMON, security::RULES),
    (Family::PowerShell, &[], channels::POWERSHELL),
    (Family::PowerShellClassic, &[], channels::POWERSHELL_CLASSIC),
    (Family::Defender, &[], channels::DEFENDER),
    (Family::System, channels::COMMON, channels::SYSTEM),
    (Family::Services, &[], channels::SERVICES),
    (Family::Tasks, channels::COMMON, channels::TASKS),
    (Family::Transfers, &[], channels::TRANSFERS),
    (Family::WmiActivity, &[], channels::WMI_ACTIVITY),
    (Family::RemoteDesktop, &[], channels::REMOTE_DESKTOP),
    (Family::AppControl, &[], channels::APP_CONTROL),
    (Family::Other, channels::COMMON, &[]),
];

impl Family {
    pub(super) fn of(provider: &str, channel: &str) -> Self {
        let provider_is = |name: &str| provider.eq_ignore_ascii_case(name);
        let channel_is = |name: &str| channel.eq_ignore_ascii_case(name);
        if provider_is("Microsoft-Windows-Sysmon")
            || channel_is("Microsoft-Windows-Sysmon/Operational")
        {
            Self::Sysmon
        } else if provider_is("Microsoft-Windows-Security-Auditing") || channel_is("Security") {
            Self::Security
        } else if provider_is("PowerShell") || channel_is("Windows PowerShell") {
            Self::PowerShellClassic
        } else if provider_is("Microsoft-Windows-PowerShell")
            || provider_is("PowerShellCore")
            || channel_is("Microsoft-Windows-PowerShell/Operational")
        {
            Self::PowerShell
        } else if provider_is("Microsoft-Windows-Windows Defender") {
            Self::Defender
        } else if provider_is("Service Control Manager") {
            Self::Services
        } else if provider_is("Microsoft-Windows-TaskScheduler") {
            Self::Tasks
        } else if provider_is("Microsoft-Windows-Bits-Client") {
            Self::Transfers
        } else if provider_is("Microsoft-Windows-WMI-Activity") {
            Self::WmiActivity
        } else if provider_is("Microsoft-Windows-AppLocker") {
            Self::AppControl
        } else if provider.starts_with("Microsoft-Windows-TerminalServices-") {
            Self::RemoteDesktop
        } else if channel_is("System") {
            Self::System
        } else {
            Self::Other
        }
    }

    /// The module of Winlogbeat that reads its events.
    pub(super) fn module(self) -> &'static str {
        match self {
            Self::Sysmon => "sysmon",
            Self::Security => "security",
            Self::PowerShell | Self::PowerShellClassic => "powershell",
            _ => "windows",
        }
    }

    /// `event.dataset`, where it is not made of the channel's name.
    pub(super) fn dataset(self) -> Option<&'static str> {
        match self {
            Self::Sysmon => Some("windows.sysmon"),
            Self::Security => Some("windows.security"),
            Self::PowerShell | Self::PowerShellClassic => Some("windows.powershell"),
            Self::Defender => Some("windows.defender"),
            Self::System | Self::Services => Some("windows.system"),
            _ => None,
        }
    }
}
