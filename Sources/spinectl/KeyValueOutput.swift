import Foundation
import SpineClient

/// A key as JSON: key and value in base64, as etcd's JSON has them.
struct KeyValueOutput: Encodable {
    var key: Data
    var value: Data
    var createRevision: Int64
    var modRevision: Int64
    var version: Int64
    var lease: Int64

    init(_ keyValue: KeyValue) {
        key = Data(keyValue.key)
        value = Data(keyValue.value)
        createRevision = keyValue.createRevision
        modRevision = keyValue.modRevision
        version = keyValue.version
        lease = keyValue.lease
    }

    enum CodingKeys: String, CodingKey {
        case key, value, version, lease
        case createRevision = "create_revision"
        case modRevision = "mod_revision"
    }

    static let columns = ["KEY", "VALUE", "CREATED", "MODIFIED", "VERSION"]

    static func row(_ keyValue: KeyValue) -> [String] {
        [
            display(keyValue.key), display(keyValue.value), "\(keyValue.createRevision)",
            "\(keyValue.modRevision)", "\(keyValue.version)",
        ]
    }
}
