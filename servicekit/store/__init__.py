"""The object store: a folder with signed URLs over HTTP, or a bucket over S3, behind one Protocol (object_store.py)."""
