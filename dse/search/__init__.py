"""The search of a sweep: blocks and batches, on one core or many machines, resumable at any instant.

Samplers that do not learn are searched in blocks (`blocks`), each a function of the sweep and its place alone, so that
any process on any machine may do it. Samplers that learn are asked and told in turn (`engine`). What has been found is
kept on disk about once a second (`journal`).
"""
