use super::*;

#[test]
fn tables_are_ordered_and_no_key_is_there_twice() {
    for (title, table) in AREAS {
        assert!(table.is_sorted_by_key(|p| p.name), "{title}");
    }
    let all = properties();
    assert!(all.windows(2).all(|pair| pair[0].name < pair[1].name));
}

#[test]
fn listener_prefixes_lead_to_their_key() {
    let split = |key| split_listener_prefix(key).map(|(listener, p)| (listener, p.name));
    assert_eq!(
        split("listener.name.external.ssl.keystore.location"),
        Some(("external", "ssl.keystore.location"))
    );
    assert_eq!(
        split("listener.name.sasl_ssl.plain.sasl.jaas.config"),
        Some(("sasl_ssl", "sasl.jaas.config"))
    );
    assert_eq!(split("listener.name.x.num.partitions"), None);
    assert_eq!(split("listener.name.x"), None);
    assert_eq!(update_mode("listener.name.x.ssl.keystore.location"), Some(Update::PerBroker));
    assert_eq!(update_mode("listeners"), Some(Update::PerBroker));
    assert_eq!(update_mode("no.such.key"), None);
}
