import Primitives

/// The unit in which the log is written, checksummed and judged: what a device writes whole or not
/// at all.
package enum Sector {
    /// Bytes of a sector on the device.
    package static let size = 512
}
