// StorageEngine
