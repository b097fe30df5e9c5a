"""Answers kept in S3: put into a spool on disk before they are sent, and taken to the bucket from there."""
