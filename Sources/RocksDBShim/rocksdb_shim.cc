#include "rocksdb_shim.h"
#include <rocksdb/db.h>
