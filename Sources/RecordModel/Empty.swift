// RecordModel
