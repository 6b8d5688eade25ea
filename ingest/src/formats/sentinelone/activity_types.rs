//! Names and meanings of the console's activity types.
//!
//! The console numbers its activities; its API lists a few hundred types, and new ones come
//! with its releases. Types that are not here keep their number in `event.code` and have no
//! `event.action`.

/// What an activity type means.
pub(super) struct Activity {
    pub(super) code: u32,
    pub(super) action: &'static str,
    pub(super) group: Group,
}

/// What activities are about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// A threat was found, or acted upon.
    Threat,
    /// A rule of the customer's found something.
    Rule,
    /// An agent's life: installed, scanned, connected.
    Agent,
    /// Someone entered or left the console.
    Session,
    /// The same, without success.
    SessionFailed,
    /// The console's users and their rights.
    User,
    /// Policies, exclusions, sites, settings.
    Policy,
    /// A device was let in.
    DeviceAllowed,
    /// A device was kept out.
    DeviceBlocked,
    /// The endpoint firewall kept traffic out.
    Firewall,
}

impl Group {
    /// `event.category`.
    pub(super) fn category(self) -> &'static [&'static str] {
        match self {
            Self::Threat | Self::Rule | Self::Agent => &["intrusion_detection"],
            Self::Session | Self::SessionFailed => &["authentication"],
            Self::User => &["iam"],
            Self::Policy => &["configuration"],
            Self::DeviceAllowed | Self::DeviceBlocked => &["host"],
            Self::Firewall => &["intrusion_detection", "network"],
        }
    }

    /// `event.type`.
    pub(super) fn types(self) -> &'static [&'static str] {
        match self {
            Self::Threat | Self::Rule | Self::Agent => &["info"],
            Self::Session | Self::SessionFailed => &["start", "info"],
            Self::User => &["user", "change"],
            Self::Policy => &["change"],
            Self::DeviceAllowed => &["allowed"],
            Self::DeviceBlocked => &["denied"],
            Self::Firewall => &["info", "denied"],
        }
    }
}

const fn is(code: u32, group: Group, action: &'static str) -> Activity {
    Activity { code, action, group }
}

/// Sorted by code.
#[rustfmt::skip]
pub(super) const ACTIVITIES: &[Activity] = {
    use Group::*;
    &[
        is(2, Policy, "Hash Defined As Malicious By Cloud"),
        is(16, Agent, "Agent Software Updated"),
        is(17, Agent, "Agent Subscribed"),
        is(18, Threat, "Threat Mitigated"),
        is(19, Threat, "New Malicious Threat Not Mitigated"),
        is(20, Threat, "New Threat Preemptively Blocked"),
        is(21, Threat, "Threat Resolved"),
        is(22, Threat, "Threat Benign"),
        is(23, User, "User Added"),
        is(24, User, "User Modified"),
        is(25, User, "User Deleted"),
        is(26, Policy, "Management Updated"),
        is(27, Session, "User Logged In"),
        is(33, Session, "User Logged Out"),
        is(37, User, "User Modified"),
        is(39, Policy, "Research Settings Modified"),
        is(40, Policy, "Cloud Intelligence Settings Modified"),
        is(41, Policy, "Learning Mode Settings Modified"),
        is(42, Policy, "Global 2FA Modified"),
        is(43, Agent, "Agent Updated"),
        is(44, Policy, "Auto Decommission On"),
        is(45, Policy, "Auto Decommission Off"),
        is(46, Policy, "Auto Decommission Period Modified"),
        is(47, Agent, "Agent Decommissioned"),
        is(48, Agent, "Agent Decommission Undo"),
        is(49, Agent, "Agent Recommissioned"),
        is(50, Agent, "Agent Shutdown"),
        is(51, Agent, "Agent Uninstalled"),
        is(52, Agent, "Agent Uninstall Request Approved"),
        is(53, Agent, "Agent Uninstall Request Rejected"),
        is(54, Agent, "User Message Sent To Agent"),
        is(61, Agent, "User Requested Disconnect From Network"),
        is(62, Agent, "User Requested Connect To Network"),
        is(63, Agent, "User Requested Shutdown"),
        is(64, Agent, "User Requested Reboot"),
        is(65, Agent, "User Requested Logs Fetch"),
        is(68, Policy, "Engine Modified In Policy"),
        is(69, Policy, "Mitigation Policy Modified"),
        is(70, Policy, "Policy Setting Modified"),
        is(71, Agent, "Scan Initiated"),
        is(72, Agent, "Scan Aborted"),
        is(76, Policy, "Anti Tampering Modified"),
        is(80, Agent, "Agent Fetch Files Requested"),
        is(81, Agent, "Agent Files Fetched"),
        is(86, Agent, "Threat Files Fetch Requested"),
        is(90, Agent, "Agent Full Disk Scan Started"),
        is(91, Agent, "Agent Full Disk Scan Aborted"),
        is(92, Agent, "Agent Full Disk Scan Completed"),
        is(93, User, "User Reset Password"),
        is(101, User, "User Changed Password"),
        is(116, Policy, "Agent Disabled In Policy"),
        is(117, Agent, "Agent Disable Requested"),
        is(118, Agent, "Agent Enable Requested"),
        is(119, Agent, "Agent Disabled"),
        is(120, Agent, "Agent Enabled"),
        is(128, Policy, "Deep Visibility Settings Modified"),
        is(133, SessionFailed, "Existing User Login Failure"),
        is(134, SessionFailed, "Unknown User Login"),
        is(1001, Agent, "Agent Disconnected From Network"),
        is(1002, Agent, "Agent Reconnected To Network"),
        is(2001, Threat, "Threat Mitigation Report Kill Success"),
        is(2002, Threat, "Threat Mitigation Report Remediate Success"),
        is(2003, Threat, "Threat Mitigation Report Rollback Success"),
        is(2004, Threat, "Threat Mitigation Report Quarantine Success"),
        is(2006, Threat, "Threat Mitigation Report Kill Failed"),
        is(2007, Threat, "Threat Mitigation Report Remediate Failed"),
        is(2008, Threat, "Threat Mitigation Report Rollback Failed"),
        is(2009, Threat, "Threat Mitigation Report Quarantine Failed"),
        is(2010, Threat, "Agent Mitigation Report Quarantine Network Failed"),
        is(2016, Threat, "Threat Incident Status Changed"),
        is(2028, Threat, "Threat Incident Status Changed"),
        is(2029, Threat, "Ticket Number Changes"),
        is(2030, Threat, "Analyst Verdict Changes"),
        is(2036, Threat, "Threat Confidence Level Changed By Agent"),
        is(2037, Threat, "Threat Confidence Level Changed By Cloud"),
        is(3001, Policy, "User Added Hash Exclusion"),
        is(3002, Policy, "User Added Blocklist Hash"),
        is(3005, Policy, "Cloud Added Hash Exclusion"),
        is(3006, Policy, "Cloud Added Blocklist Hash"),
        is(3008, Policy, "New Path Exclusion"),
        is(3016, Policy, "Path Exclusion Deleted"),
        is(3500, Agent, "Ranger Device Added"),
        is(3600, Policy, "Custom Rules - User Created A Rule"),
        is(3601, Policy, "Custom Rules - User Changed A Rule"),
        is(3602, Policy, "Custom Rules - User Deleted A Rule"),
        is(3603, Policy, "Custom Rules - Rule Status Changed"),
        is(3604, Policy, "Custom Rules - Rule Status Change Failed"),
        is(3608, Rule, "Custom Rules - New Alert"),
        is(4001, Threat, "Suspicious Threat Marked As Threat"),
        is(4002, Threat, "Suspicious Threat Resolved"),
        is(4003, Threat, "New Suspicious Threat Not Mitigated"),
        is(4004, Policy, "Policy Setting - Show Suspicious Activities Configuration Enabled"),
        is(4005, Policy, "Policy Setting - Show Suspicious Activities Configuration Disabled"),
        is(4008, Threat, "Threat Marked As Threat"),
        is(4009, Threat, "Threat Resolved"),
        is(4100, Threat, "User Marked Deep Visibility Event As Threat"),
        is(4101, Threat, "User Marked Deep Visibility Event As Suspicious"),
        is(4102, Threat, "Deep Visibility Event Marked As Threat Failed"),
        is(5007, Policy, "Group Info Changed"),
        is(5008, Policy, "Group Created"),
        is(5009, Policy, "Agent Moved To A Different Group"),
        is(5010, Policy, "Group Ranking Changed"),
        is(5011, Policy, "Group Policy Reverted"),
        is(5012, Policy, "Group Token Regenerated"),
        is(5020, Policy, "Site Created"),
        is(5021, Policy, "Site Modified"),
        is(5022, Policy, "Site Deleted"),
        is(5025, Policy, "Site Policy Reverted"),
        is(5026, Policy, "Site Duplicated"),
        is(5040, Policy, "Account Created"),
        is(5041, Policy, "Account Modified"),
        is(5042, Policy, "Account Deleted"),
        is(5120, Policy, "Device Control Rule Created"),
        is(5121, Policy, "Device Control Rule Modified"),
        is(5122, Policy, "Device Control Rule Deleted"),
        is(5123, Policy, "Device Control Rules Reordered"),
        is(5124, Policy, "Device Control Settings Modified"),
        is(5125, DeviceBlocked, "Device Control Blocked Event"),
        is(5126, DeviceAllowed, "Device Control Approved Event"),
        is(5129, Policy, "Device Control Rule Moved"),
        is(5220, Policy, "Firewall Rule Created"),
        is(5221, Policy, "Firewall Rule Modified"),
        is(5222, Policy, "Firewall Rule Deleted"),
        is(5225, Policy, "Firewall Control Settings Modified"),
        is(5226, Policy, "Firewall Rules Reordered"),
        is(5232, Firewall, "Firewall Control Blocked Event"),
        is(5241, Policy, "Firewall Control Tag Created"),
    ]
};

/// The activity type numbered `code`.
pub(super) fn of(code: u32) -> Option<&'static Activity> {
    let index = ACTIVITIES.binary_search_by_key(&code, |activity| activity.code).ok()?;
    ACTIVITIES.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted_and_unique() {
        assert!(ACTIVITIES.is_sorted_by(|a, b| a.code < b.code));
        assert_eq!(of(27).unwrap().action, "User Logged In");
        assert!(of(1).is_none());
    }
}
