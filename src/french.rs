//! What communes read: the words of the API, in French.

/// A severity or level.
pub(crate) fn severity(word: &str) -> &str {
    match word {
        "informational" => "pour information",
        "low" => "basse",
        "medium" => "moyenne",
        "high" => "haute",
        "critical" => "critique",
        other => other,
    }
}

/// Where work on an incident stands.
pub(crate) fn status(word: &str) -> &str {
    match word {
        "new" => "nouveau",
        "acknowledged" => "pris en charge",
        "in_progress" => "en cours",
        "resolved" => "résolu",
        "closed" => "fermé",
        other => other,
    }
}

/// What an incident turned out to be.
pub(crate) fn verdict(word: &str) -> &str {
    match word {
        "true_positive" => "vrai positif",
        "false_positive" => "faux positif",
        "benign_true_positive" => "vrai, et permis",
        "undetermined" => "indéterminé",
        "none" => "pas encore jugé",
        other => other,
    }
}

/// A clock of an incident.
pub(crate) fn clock(word: &str) -> &str {
    match word {
        "acknowledge" => "prise en charge",
        "contain" => "confinement",
        "resolve" => "résolution",
        "nis2_early_warning" => "alerte précoce NIS 2",
        "nis2_notification" => "notification NIS 2",
        "nis2_final_report" => "rapport final NIS 2",
        other => other,
    }
}

/// What a report measures the time of.
pub(crate) fn duration(word: &str) -> &str {
    match word {
        "detect" => "du premier événement à l'incident",
        "tell" => "de l'incident à la première notification",
        "acknowledge" => "de l'incident à la prise en charge",
        "contain" => "de l'incident au confinement",
        "resolve" => "de l'incident à la résolution",
        other => other,
    }
}
