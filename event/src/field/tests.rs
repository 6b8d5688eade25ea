use super::*;

#[test]
fn known_names_are_unique_and_keep_their_ids() {
    for (index, name) in fields::KNOWN.iter().enumerate() {
        assert_eq!(FieldId::intern(name).unwrap().index(), index, "{name} stands twice");
    }
    assert_eq!(fields::PROCESS_COMMAND_LINE.name(), "process.command_line");
}

#[test]
fn new_names_enter_once_and_insane_ones_do_not() {
    let id = FieldId::intern("vendor.field.Key").unwrap();
    assert_eq!(id.name(), "vendor.field.Key");
    assert_eq!(FieldId::intern("vendor.field.Key"), Some(id));
    assert_eq!(FieldId::intern(""), None);
    assert_eq!(FieldId::intern("a\nb"), None);
    assert_eq!(FieldId::intern(&"a".repeat(257)), None);
}

#[test]
fn a_feed_that_invents_names_takes_nobody_elses_room() {
    let hostile = FeedId::new("hostile").unwrap();
    let honest = FeedId::new("honest").unwrap();
    let entered = (0..FIELDS_MAX)
        .filter(|n| FieldId::intern_for(&hostile, &format!("invented.{n}")).is_some())
        .count();
    assert_eq!(entered, FEED_FIELDS_MAX);
    let id = FieldId::intern_for(&honest, "vendor.honest").unwrap();
    assert_eq!(FieldId::intern_for(&hostile, "vendor.honest"), Some(id), "known names are free");
    assert!(FieldId::intern("rule.made.later").is_some());
    assert_eq!(id.name(), "vendor.honest");
}
