"""Answers kept in S3: written to a spool on disk before they are sent, uploaded from there behind every request's back."""
