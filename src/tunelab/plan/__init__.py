"""What will a run need? Memory, time, disk and price, told before anything is loaded.

configuration -> fake model --+
data -> rows that are drawn --+-> rehearsal -> several devices -> forecast -> what would fit
"""
