// RocksDBEngine
