//! ATT&CK as rules' tags spell it.

/// Tactics, enterprise's and mobile's, in the order of the matrix. Defense evasion became stealth
/// and defense impairment; rules have either.
pub const TACTICS: &[&str] = &[
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "stealth",
    "defense-impairment",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];
