/// Owned bytes of the pure ring. Parsers borrow spans and slices; what must be kept is copied into
/// one of these, once, at the ownership boundary.
package typealias Bytes = [UInt8]
