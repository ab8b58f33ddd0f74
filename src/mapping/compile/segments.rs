//! The segments of HL7 v2 and how many fields each can have, to catch a mistyped path.
//!
//! Field counts are the largest of versions 2.1 to 2.9. Z segments are the sender's own.

/// Segments with the number of their last field.
const SEGMENTS: &[(&str, usize)] = &[
    ("ABS", 13),
    ("ACC", 13),
    ("AIG", 14),
    ("AIL", 12),
    ("AIP", 12),
    ("AIS", 12),
    ("AL1", 6),
    ("APR", 5),
    ("ARQ", 25),
    ("ARV", 8),
    ("AUT", 30),
    ("BHS", 14),
    ("BLG", 4),
    ("BTS", 3),
    ("CON", 28),
    ("CTD", 8),
    ("CTI", 3),
    ("DB1", 8),
    ("DG1", 26),
    ("DRG", 33),
    ("DSC", 2),
    ("ERR", 13),
    ("EVN", 8),
    ("FAC", 12),
    ("FHS", 14),
    ("FT1", 60),
    ("FTS", 2),
    ("GOL", 22),
    ("GT1", 57),
    ("IAM", 30),
    ("IN1", 55),
    ("IN2", 72),
    ("IN3", 28),
    ("IPC", 9),
    ("LOC", 10),
    ("MFE", 7),
    ("MFI", 6),
    ("MRG", 7),
    ("MSA", 8),
    ("MSH", 28),
    ("NK1", 41),
    ("NTE", 10),
    ("OBR", 57),
    ("OBX", 33),
    ("ODS", 4),
    ("ODT", 3),
    ("ORC", 39),
    ("ORG", 12),
    ("PD1", 26),
    ("PDA", 9),
    ("PID", 41),
    ("PR1", 27),
    ("PRA", 12),
    ("PRB", 30),
    ("PRD", 14),
    ("PRT", 27),
    ("PTH", 8),
    ("PV1", 55),
    ("PV2", 50),
    ("QPD", 10),
    ("QRD", 12),
    ("QRF", 10),
    ("RCP", 7),
    ("RF1", 25),
    ("RGS", 3),
    ("ROL", 17),
    ("RXA", 30),
    ("RXC", 11),
    ("RXD", 37),
    ("RXE", 47),
    ("RXG", 34),
    ("RXO", 37),
    ("RXR", 7),
    ("SAC", 60),
    ("SCH", 28),
    ("SFT", 6),
    ("SPM", 36),
    ("STF", 42),
    ("TQ1", 14),
    ("TQ2", 10),
    ("TXA", 30),
    ("UAC", 2),
    ("UB1", 23),
    ("UB2", 17),
    ("VAR", 6),
];

/// Every segment's name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SEGMENTS.iter().map(|(name, _)| *name)
}

/// Whether a segment can be in a message: a known one, or a sender's own.
pub(super) fn is_known(name: &str) -> bool {
    name.starts_with('Z') || names().any(|known| known == name)
}

/// The number of a segment's last field, where it is known.
pub(super) fn last_field(name: &str) -> Option<usize> {
    SEGMENTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, last)| *last)
}
